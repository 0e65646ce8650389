"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { customResource } = require("../functions/cloudformation");
const { ask, fail, serve, succeed } = require("./support");

const id = () => "a-thing";

test("the answer has the id and the attributes", async () => {
  const create = async (event, resource) => {
    resource.data.Size = event.ResourceProperties.Size;
  };
  const handler = customResource({ id, create });
  const answer = await succeed(handler, { RequestType: "Create", ResourceProperties: { Size: "ü" } });
  assert.equal(answer.PhysicalResourceId, "a-thing");
  assert.deepEqual(answer.Data, { Size: "ü" });
});

test("an update keeps the id it was given, and a deletion without anything to do succeeds", async () => {
  const handler = customResource({ id, create: async () => {} });
  for (const RequestType of ["Update", "Delete"]) {
    const answer = await succeed(handler, { RequestType, PhysicalResourceId: "made-by-copilot" });
    assert.equal(answer.PhysicalResourceId, "made-by-copilot");
  }
});

test("a failure is answered with its reason, the log and the id there is so far", async () => {
  const create = async (_, resource) => {
    resource.id = "half-done";
    throw new Error("no room");
  };
  const answer = await ask(customResource({ id, create }), { RequestType: "Create" });
  assert.equal(answer.Status, "FAILED");
  assert.equal(answer.Reason, "no room (log: /aws/lambda/f/stream)");
  assert.equal(answer.PhysicalResourceId, "half-done");
});

test("a request of an unknown type fails", async () => {
  const reason = await fail(customResource({ id, create: async () => {} }), { RequestType: "Repair" });
  assert.match(reason, /type Repair/);
});

test("time that runs out is answered with what was waited for, and ends the waiting", async () => {
  let asked = 0;
  const create = (_, resource) => resource.until("the moon", async () => void asked++);
  const handler = customResource({ id, create });
  const reason = await fail(handler, { RequestType: "Create" }, { seconds: 1 });
  assert.match(reason, /^not done after 1 seconds, still waiting for the moon/);
  const before = asked;
  await new Promise((later) => setTimeout(later, 1500));
  assert.equal(asked, before);
});

test("attributes that CloudFormation would not read are a failure that says so", async () => {
  const create = async (_, resource) => {
    resource.data.Long = "x".repeat(5000);
  };
  assert.match(await fail(customResource({ id, create }), { RequestType: "Create" }), /4096 bytes/);
});

test("an answer that does not arrive is sent again, as bytes without a media type", async () => {
  const seen = [];
  const url = await serve((request, body) => {
    seen.push([request.method, request.url, request.headers["content-type"], JSON.parse(body).Status]);
    return { status: seen.length < 2 ? 500 : 200 };
  });
  const handler = customResource({ id, create: async () => {} });
  await handler(
    { RequestType: "Create", ResponseURL: `${url}/a?b=c` },
    { getRemainingTimeInMillis: () => 60_000 },
  );
  const put = ["PUT", "/a?b=c", undefined, "SUCCESS"];
  assert.deepEqual(seen, [put, put]);
});
