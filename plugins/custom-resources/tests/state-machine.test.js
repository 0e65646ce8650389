"use strict";

const assert = require("node:assert/strict");
const dns = require("node:dns");
const { test } = require("node:test");
const { fail, serveJson, succeed } = require("./support");
const { handler } = require("../functions/state-machine");

// The SDK puts `sync-` before the host, whichever it is.
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host.replace(/^sync-/, ""), ...rest);

const ended = { status: "SUCCEEDED" };
const runs = [];
const ready = serveJson({
  StartSyncExecution: ({ stateMachineArn }) => {
    runs.push(stateMachineArn);
    return { executionArn: "e", startDate: 1, stopDate: 2, ...ended };
  },
}).then((url) => (process.env.AWS_ENDPOINT_URL_SFN = url));

const request = (RequestType) => ({
  RequestType,
  ResourceProperties: { StateMachineARN: "arn:aws:states:eu-west-1:123456789012:stateMachine:copy" },
});

test("files are copied when the site is made and when its files change, not when it is deleted", async () => {
  await ready;
  await succeed(handler, request("Create"));
  await succeed(handler, { ...request("Update"), PhysicalResourceId: "Action" });
  await succeed(handler, { ...request("Delete"), PhysicalResourceId: "Action" });
  assert.equal(runs.length, 2);
});

test("a copy that did not succeed fails with its cause", async () => {
  await ready;
  Object.assign(ended, { status: "FAILED", error: "S3.NoSuchKeyException", cause: "a file is gone" });
  const reason = await fail(handler, request("Create"));
  assert.match(reason, /FAILED: S3\.NoSuchKeyException: a file is gone/);
});
