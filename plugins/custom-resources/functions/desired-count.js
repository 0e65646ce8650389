// Answers how many tasks a scaling service wants now, so that a deployment does not set it back to what it began with.
"use strict";

const { ECSClient, DescribeServicesCommand } = require("@aws-sdk/client-ecs");
const {
  ResourceGroupsTaggingAPIClient,
  GetResourcesCommand,
} = require("@aws-sdk/client-resource-groups-tagging-api");
const { customResource, patient } = require("./cloudformation");

exports.handler = customResource({
  id: ({ ResourceProperties: { App, Env, Svc } }) =>
    `copilot/apps/${App}/envs/${Env}/services/${Svc}/autoscaling`,
  create: async ({ ResourceProperties: properties }, resource) => {
    resource.data.DesiredCount = await desired(properties).catch((error) => {
      // A deployment, and above all its rollback, must not fail for a number that autoscaling corrects.
      console.error("the service could not be looked at:", error);
      return properties.DefaultDesiredCount;
    });
  },
});

async function desired({ Cluster, App, Env, Svc, DefaultDesiredCount }) {
  const tagged = new GetResourcesCommand({
    ResourceTypeFilters: ["ecs:service"],
    TagFilters: [
      { Key: "copilot-application", Values: [App] },
      { Key: "copilot-environment", Values: [Env] },
      { Key: "copilot-service", Values: [Svc] },
    ],
  });
  const tagging = new ResourceGroupsTaggingAPIClient(patient);
  const { ResourceTagMappingList: found = [] } = await tagging.send(tagged);
  // As many as can be asked about at once; there is one, and those that were replaced lately.
  const services = found.map((resource) => resource.ResourceARN).slice(0, 10);
  if (services.length === 0) return DefaultDesiredCount;
  const ecs = new ECSClient(patient);
  const describe = new DescribeServicesCommand({ cluster: Cluster, services });
  const { services: described = [] } = await ecs.send(describe);
  const active = described.filter((service) => service.status === "ACTIVE");
  return active.length === 1 ? active[0].desiredCount : DefaultDesiredCount;
}
