// The number of running tasks is played here: moto starts none.
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const sqs = require("@aws-sdk/client-sqs");
const { serveJson, unique } = require("./support");
const { handler } = require("../functions/backlog-per-task");

const client = new sqs.SQSClient();
const running = { busy: 2, idle: 0 };

const ready = serveJson({
  DescribeServices: ({ cluster, services: [name] }) => {
    assert.equal(cluster, "cluster");
    return { services: name in running ? [{ serviceName: name, runningCount: running[name] }] : [] };
  },
}).then((url) => (process.env.AWS_ENDPOINT_URL_ECS = url));

/** The name of a queue with so many messages. */
async function queue(count) {
  const QueueName = unique("queue-");
  const { QueueUrl } = await client.send(new sqs.CreateQueueCommand({ QueueName }));
  for (let i = 0; i < count; i++) {
    await client.send(new sqs.SendMessageCommand({ QueueUrl, MessageBody: "m" }));
  }
  return QueueName;
}

/** The metrics that a run prints. */
async function metrics(service, ...queues) {
  await ready;
  const environment = { CLUSTER_NAME: "cluster", SERVICE_NAME: service, NAMESPACE: "shop-test-worker" };
  Object.assign(process.env, environment, { QUEUE_NAMES: queues.join() });
  const { log } = console;
  const lines = [];
  console.log = (line) => lines.push(JSON.parse(line));
  try {
    await handler();
  } finally {
    console.log = log;
  }
  return lines;
}

const backlogs = (lines) => Object.fromEntries(lines.map((line) => [line.QueueName, line.BacklogPerTask]));

test("the backlog is the messages for each task, rounded up", async () => {
  const [five, none] = [await queue(5), await queue(0)];
  const lines = await metrics("busy", five, none);
  assert.deepEqual(backlogs(lines), { [five]: 3, [none]: 0 });
  const [{ Namespace, Dimensions, Metrics }] = lines[0]._aws.CloudWatchMetrics;
  assert.equal(Namespace, "shop-test-worker");
  assert.deepEqual(Dimensions, [["QueueName"]]);
  assert.deepEqual(Metrics, [{ Name: "BacklogPerTask", Unit: "Count" }]);
});

test("without tasks it is all messages", async () => {
  const five = await queue(5);
  assert.deepEqual(backlogs(await metrics("idle", five)), { [five]: 5 });
});

test("a queue that cannot be asked does not hide the others", async () => {
  const one = await queue(1);
  assert.deepEqual(backlogs(await metrics("busy", "no-such-queue", one)), { [one]: 1 });
});

test("a service that is not there gives no metric", async () => {
  await assert.rejects(metrics("gone", "any"), /no service gone/);
});
