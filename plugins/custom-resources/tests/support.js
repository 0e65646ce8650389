// What the functions are tried with: CloudFormation's end of a request, and servers for the two services that moto lacks.
//
// Everything else is answered at AWS_ENDPOINT_URL. The functions and their SDK are the real ones, only the endpoints are set.
"use strict";

const assert = require("node:assert/strict");
const http = require("node:http");
const { randomUUID } = require("node:crypto");
const { after } = require("node:test");

/** A server that answers with what `answer(request, body)` returns: `{ status, headers, body }`. Ends with the tests. */
async function serve(answer) {
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const said = (await answer(request, Buffer.concat(chunks).toString())) ?? {};
    response.writeHead(said.status ?? 200, said.headers).end(said.body);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  after(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

/** A service of the JSON protocol: an operation is a function of its input; what it throws is the error of that name. */
async function serveJson(operations) {
  return serve(async (request, body) => {
    const operation = request.headers["x-amz-target"].split(".").pop();
    const headers = { "content-type": "application/x-amz-json-1.0" };
    try {
      const answer = await operations[operation](JSON.parse(body));
      return { headers, body: JSON.stringify(answer) };
    } catch (error) {
      return { status: 400, headers, body: JSON.stringify({ __type: error.name, message: error.message }) };
    }
  });
}

const failure = (name, message) => Object.assign(new Error(message), { name });

/**
 * Lets a handler answer one request of CloudFormation and returns that answer; there has to be exactly one.
 *
 * `request` is what differs from an ordinary event: `RequestType`, `ResourceProperties` and so on.
 */
async function ask(handler, request, { seconds = 120 } = {}) {
  const answers = [];
  const url = await serve((_, body) => void answers.push(JSON.parse(body)));
  const event = {
    ResponseURL: `${url}/answer?signed=1`,
    StackId: "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-test-api/1",
    RequestId: randomUUID(),
    LogicalResourceId: "Action",
    ...request,
  };
  const begun = Date.now();
  const context = {
    logGroupName: "/aws/lambda/f",
    logStreamName: "stream",
    // The function keeps 30 of them.
    getRemainingTimeInMillis: () => (seconds + 30) * 1000 - (Date.now() - begun),
  };
  await handler(event, context);
  assert.equal(answers.length, 1, "answers");
  assert.equal(answers[0].RequestId, event.RequestId);
  assert.equal(answers[0].StackId, event.StackId);
  assert.equal(answers[0].LogicalResourceId, event.LogicalResourceId);
  return answers[0];
}

/** The same, where success is expected. */
async function succeed(handler, request, options) {
  const answer = await ask(handler, request, options);
  assert.equal(answer.Status, "SUCCESS", answer.Reason);
  return answer;
}

/** The same, where a failure is; returns its reason. */
async function fail(handler, request, options) {
  const answer = await ask(handler, request, options);
  assert.equal(answer.Status, "FAILED");
  return answer.Reason;
}

/** A name that no other test uses. */
const unique = (prefix) => `${prefix}${randomUUID().slice(0, 8)}`;

module.exports = { serve, serveJson, failure, ask, succeed, fail, unique };
