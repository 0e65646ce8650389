// Measures how many messages wait for each running task of a worker, every minute: what the service scales by.
//
// A line in CloudWatch's embedded metric format is a metric. When there is none, autoscaling leaves the service as it is.
"use strict";

const { ECSClient, DescribeServicesCommand } = require("@aws-sdk/client-ecs");
const { SQSClient, GetQueueAttributesCommand, GetQueueUrlCommand } = require("@aws-sdk/client-sqs");

const ecs = new ECSClient();
const sqs = new SQSClient();

exports.handler = async () => {
  const { CLUSTER_NAME, SERVICE_NAME, NAMESPACE, QUEUE_NAMES } = process.env;
  const tasks = await runningTasks(CLUSTER_NAME, SERVICE_NAME);
  const measured = QUEUE_NAMES.split(",").map(async (queue) => {
    // Without tasks the backlog is all there is, which is reason enough to start one.
    const backlog = Math.ceil((await messages(queue)) / Math.max(tasks, 1));
    console.log(JSON.stringify(metric(NAMESPACE, queue, backlog)));
  });
  for (const { reason } of await Promise.allSettled(measured)) {
    if (reason) console.error("a queue could not be measured:", reason);
  }
};

async function runningTasks(cluster, service) {
  const describe = new DescribeServicesCommand({ cluster, services: [service] });
  const { services: [found] = [] } = await ecs.send(describe);
  if (!found) throw new Error(`there is no service ${service} in cluster ${cluster}`);
  return found.runningCount;
}

async function messages(queue) {
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queue }));
  const name = "ApproximateNumberOfMessages";
  const ask = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [name] });
  const { Attributes } = await sqs.send(ask);
  return Number(Attributes[name]);
}

const metric = (namespace, queue, backlog) => ({
  _aws: {
    Timestamp: Date.now(),
    CloudWatchMetrics: [
      {
        Namespace: namespace,
        Dimensions: [["QueueName"]],
        Metrics: [{ Name: "BacklogPerTask", Unit: "Count" }],
      },
    ],
  },
  QueueName: queue,
  BacklogPerTask: backlog,
});
