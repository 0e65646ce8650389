// Tells the environment's stack which of its optional parts a workload needs, and answers with the stack's outputs.
//
// The stack's parameters that end in `Workloads` list the workloads that need a part; the part is there as long as the list is
// not empty. `Aliases` is a JSON object of host names by workload.
"use strict";

const {
  CloudFormationClient,
  DescribeStacksCommand,
  UpdateStackCommand,
} = require("@aws-sdk/client-cloudformation");
const { customResource, patient } = require("./cloudformation");

/** Outputs that no workload uses; an answer has to be short. */
const UNUSED = ["EnabledFeatures", "LastForceDeployID"];

exports.handler = customResource({
  id: ({ ResourceProperties: { EnvStack, Workload } }) => `envcontroller/${EnvStack}/${Workload}`,
  create: ({ ResourceProperties: wanted }, resource) => control(wanted, resource),
  remove: async ({ ResourceProperties: { EnvStack, Workload } }, resource) => {
    const stack = await describe(EnvStack);
    // An environment that is gone lists nobody.
    if (!stack || stack.StackStatus.startsWith("DELETE_")) return;
    const nothing = { EnvStack, Workload };
    if (parameters(stack, nothing)) await control(nothing, resource);
  },
});

const cloudFormation = new CloudFormationClient(patient);

async function describe(name) {
  try {
    const { Stacks: stacks } = await cloudFormation.send(new DescribeStacksCommand({ StackName: name }));
    return stacks[0];
  } catch (error) {
    if (error.name === "ValidationError" && error.message.includes("does not exist")) return undefined;
    throw error;
  }
}

/** Makes the environment's stack list what is wanted, and nothing else, for this workload. */
async function control(wanted, resource) {
  const name = wanted.EnvStack;
  for (;;) {
    const stack = await settled(name, resource);
    const changed = parameters(stack, wanted);
    if (!changed || (await update(stack, changed, resource)) === "unchanged") {
      resource.data = outputs(stack);
      return;
    }
  }
}

/** The stack once nobody is updating it. */
const settled = (name, resource) =>
  resource.until(`stack ${name} to be free`, async () => {
    const stack = await describe(name);
    if (!stack) throw new Error(`there is no environment stack ${name}`);
    return stack.StackStatus.endsWith("_IN_PROGRESS") ? undefined : stack;
  });

/** Updates the stack unless another workload came first. */
async function update(stack, changed, resource) {
  const name = stack.StackName;
  try {
    await cloudFormation.send(
      new UpdateStackCommand({
        StackName: name,
        UsePreviousTemplate: true,
        Parameters: changed,
        Capabilities: stack.Capabilities,
        RoleARN: outputs(stack).CFNExecutionRoleARN,
      }),
    );
  } catch (error) {
    if (/_IN_PROGRESS state and can ?not be updated/.test(error.message)) return "busy";
    if (error.message.includes("No updates are to be performed")) return "unchanged";
    throw error;
  }
  const { StackStatus: status, StackStatusReason: reason } = await settled(name, resource);
  if (status !== "UPDATE_COMPLETE") {
    throw new Error(`stack ${name} is ${status} after its update${reason ? `: ${reason}` : ""}`);
  }
  return "updated";
}

/** All parameters of the stack with those that have to change, or nothing if none has to. */
function parameters(stack, { Workload: workload, Parameters: parts = [], Aliases: aliases = [] }) {
  let changes = 0;
  const all = (stack.Parameters ?? []).map(({ ParameterKey: key, ParameterValue: value = "" }) => {
    let wanted = value;
    if (key === "Aliases") wanted = withAliases(value, workload, aliases);
    if (key.endsWith("Workloads")) wanted = withWorkload(value, workload, parts.includes(key));
    if (wanted === value) return { ParameterKey: key, UsePreviousValue: true };
    changes += 1;
    return { ParameterKey: key, ParameterValue: wanted };
  });
  return changes > 0 ? all : undefined;
}

/** A comma list with the workload, or without it. */
function withWorkload(list, workload, isWanted) {
  const workloads = list.split(",").filter(Boolean);
  if (workloads.includes(workload) === isWanted) return list;
  return (isWanted ? [...workloads, workload] : workloads.filter((w) => w !== workload)).join(",");
}

function withAliases(json, workload, aliases) {
  const all = JSON.parse(json || "{}");
  if (String(all[workload] ?? []) === String(aliases)) return json;
  if (aliases.length > 0) all[workload] = aliases;
  else delete all[workload];
  return Object.keys(all).length > 0 ? JSON.stringify(all) : "";
}

const outputs = (stack) =>
  Object.fromEntries(
    (stack.Outputs ?? [])
      .filter(({ OutputKey: key }) => !UNUSED.includes(key))
      .map(({ OutputKey: key, OutputValue: value }) => [key, value]),
  );
