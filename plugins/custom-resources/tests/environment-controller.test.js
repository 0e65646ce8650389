// The environment's stack is played here and not by moto, which cannot show a stack in the middle of an update.
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { fail, serve, succeed } = require("./support");
const { handler } = require("../functions/environment-controller");

/** The stack: what it is asked next is in `script`, a list of statuses it shows before it is at rest. */
let stack;

const list = (name, items) =>
  `<${name}>${items.map((item) => `<member>${fields(item)}</member>`).join("")}</${name}>`;
const fields = (item) => Object.entries(item).map(([k, v]) => `<${k}>${v}</${k}>`).join("");

const description = (status) =>
  `<DescribeStacksResponse><DescribeStacksResult><Stacks><member>
    <StackName>shop-test</StackName><StackStatus>${status}</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime>
    ${stack.reason ? `<StackStatusReason>${stack.reason}</StackStatusReason>` : ""}
    <Capabilities><member>CAPABILITY_NAMED_IAM</member></Capabilities>
    ${list("Parameters", Object.entries(stack.parameters).map(([k, v]) => ({ ParameterKey: k, ParameterValue: v.replaceAll('"', "&quot;") })))}
    ${list("Outputs", Object.entries(stack.outputs()).map(([k, v]) => ({ OutputKey: k, OutputValue: v })))}
  </member></Stacks></DescribeStacksResult></DescribeStacksResponse>`;

const refusal = (message) => ({
  status: 400,
  body: `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>${message}</Message></Error></ErrorResponse>`,
});

const ready = serve((_, body) => {
  const input = new URLSearchParams(body);
  assert.equal(input.get("StackName"), "shop-test");
  if (!stack) return refusal("Stack with id shop-test does not exist");
  if (input.get("Action") === "DescribeStacks") {
    return { body: description(stack.script.shift() ?? stack.status) };
  }
  if (stack.lost-- > 0) {
    stack.script.push("UPDATE_IN_PROGRESS");
    return refusal("Stack:arn is in UPDATE_IN_PROGRESS state and can not be updated.");
  }
  stack.updates.push(input);
  for (let i = 1; input.has(`Parameters.member.${i}.ParameterKey`); i++) {
    const value = input.get(`Parameters.member.${i}.ParameterValue`);
    if (value !== null) stack.parameters[input.get(`Parameters.member.${i}.ParameterKey`)] = value;
  }
  stack.script.push("UPDATE_IN_PROGRESS");
  stack.status = stack.ends;
  return { body: "<UpdateStackResponse><UpdateStackResult/></UpdateStackResponse>" };
}).then((url) => (process.env.AWS_ENDPOINT_URL_CLOUDFORMATION = url));

test.beforeEach(async () => {
  await ready;
  stack = {
    status: "CREATE_COMPLETE",
    ends: "UPDATE_COMPLETE",
    script: [],
    lost: 0,
    updates: [],
    parameters: {
      AppName: "shop",
      ALBWorkloads: "web",
      NATWorkloads: "",
      Aliases: "",
    },
    outputs: () => ({
      CFNExecutionRoleARN: "arn:role",
      EnabledFeatures: "ALBWorkloads",
      HTTPListenerArn: stack.parameters.ALBWorkloads ? "arn:listener" : "",
    }),
  };
});

const request = (RequestType, more = {}) => ({
  RequestType,
  PhysicalResourceId: RequestType === "Create" ? undefined : "envcontoller/shop-test/api",
  ResourceProperties: { EnvStack: "shop-test", Workload: "api", EnvVersion: "v1", ...more },
});

test("a workload is added to the parts it needs, and the stack's outputs are the attributes", async () => {
  const wanted = { Parameters: ["ALBWorkloads", "Aliases", "NATWorkloads"], Aliases: ["a.example.com"] };
  const answer = await succeed(handler, request("Create", wanted));
  assert.equal(answer.PhysicalResourceId, "envcontroller/shop-test/api");
  assert.deepEqual(answer.Data, { CFNExecutionRoleARN: "arn:role", HTTPListenerArn: "arn:listener" });
  assert.deepEqual(stack.parameters, {
    AppName: "shop",
    ALBWorkloads: "web,api",
    NATWorkloads: "api",
    Aliases: '{"api":["a.example.com"]}',
  });
  const [update] = stack.updates;
  assert.equal(update.get("RoleARN"), "arn:role");
  assert.equal(update.get("UsePreviousTemplate"), "true");
  assert.equal(update.get("Capabilities.member.1"), "CAPABILITY_NAMED_IAM");
  assert.equal(update.get("Parameters.member.1.UsePreviousValue"), "true");
});

test("what is needed no longer is taken back, and other workloads stay", async () => {
  Object.assign(stack.parameters, {
    ALBWorkloads: "web,api",
    NATWorkloads: "api",
    Aliases: '{"web":["w"],"api":["a"]}',
  });
  await succeed(handler, request("Update", { Parameters: ["NATWorkloads"] }));
  assert.equal(stack.parameters.ALBWorkloads, "web");
  assert.equal(stack.parameters.NATWorkloads, "api");
  assert.equal(stack.parameters.Aliases, '{"web":["w"]}');
  await succeed(handler, request("Delete", { Parameters: ["NATWorkloads"] }));
  assert.equal(stack.parameters.NATWorkloads, "");
  assert.equal(stack.updates.length, 2);
});

test("nothing is updated when nothing changes, or when an old environment does not know the part", async () => {
  stack.parameters.ALBWorkloads = "web,api";
  const wanted = { Parameters: ["ALBWorkloads", "EFSWorkloads"] };
  const answer = await succeed(handler, request("Update", wanted));
  assert.equal(answer.Data.HTTPListenerArn, "arn:listener");
  assert.equal(answer.PhysicalResourceId, "envcontoller/shop-test/api", "the id Copilot gave stays");
  assert.equal(stack.updates.length, 0);
});

test("a stack that others are updating is waited for", async () => {
  stack.script = ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"];
  stack.lost = 1;
  await succeed(handler, request("Create", { Parameters: ["NATWorkloads"] }));
  assert.equal(stack.parameters.NATWorkloads, "api");
  assert.equal(stack.updates.length, 1);
});

test("an update that was rolled back fails, with the stack's reason", async () => {
  Object.assign(stack, { ends: "UPDATE_ROLLBACK_COMPLETE", reason: "no addresses left" });
  const reason = await fail(handler, request("Create", { Parameters: ["NATWorkloads"] }));
  assert.match(reason, /stack shop-test is UPDATE_ROLLBACK_COMPLETE after its update: no addresses left/);
});

test("an environment that is gone, or going, needs no farewell", async () => {
  stack.status = "DELETE_IN_PROGRESS";
  await succeed(handler, request("Delete"));
  stack = undefined;
  await succeed(handler, request("Delete"));
  const reason = await fail(handler, request("Create", { Parameters: ["NATWorkloads"] }));
  assert.match(reason, /there is no environment stack shop-test/);
});
