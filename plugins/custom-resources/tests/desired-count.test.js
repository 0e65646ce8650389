"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const ecs = require("@aws-sdk/client-ecs");
const { succeed, unique } = require("./support");
const { handler } = require("../functions/desired-count");

const client = new ecs.ECSClient();

/** The cluster of a service with these tags. */
async function service(desiredCount, tags) {
  const [cluster, family] = [unique("cluster-"), unique("family-")];
  await client.send(new ecs.CreateClusterCommand({ clusterName: cluster }));
  const containerDefinitions = [{ name: "main", image: "image", memory: 128 }];
  await client.send(new ecs.RegisterTaskDefinitionCommand({ family, containerDefinitions }));
  await client.send(
    new ecs.CreateServiceCommand({
      cluster,
      serviceName: unique("service-"),
      taskDefinition: family,
      desiredCount,
      launchType: "FARGATE",
      tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
    }),
  );
  return cluster;
}

test("a service keeps the number of tasks that it was scaled to", async () => {
  const App = unique("app-");
  const tags = { "copilot-application": App, "copilot-environment": "test", "copilot-service": "api" };
  const Cluster = await service(3, tags);
  const count = async (type, more) => {
    const properties = { Cluster, App, Env: "test", Svc: "api", DefaultDesiredCount: "1", ...more };
    const request = { RequestType: type, PhysicalResourceId: "id", ResourceProperties: properties };
    return (await succeed(handler, request)).Data.DesiredCount;
  };
  assert.equal(await count("Create"), 3);
  assert.equal(await count("Update"), 3);
  assert.equal(await count("Update", { Svc: "web" }), "1", "there is no such service yet");
  assert.equal(await count("Update", { Cluster: "none" }), "1", "it cannot be looked at");
  assert.equal(await count("Delete"), undefined);
});
