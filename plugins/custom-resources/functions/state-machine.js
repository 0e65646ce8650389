// Runs the state machine that copies a static site's files, and waits for its end.
"use strict";

const { SFNClient, StartSyncExecutionCommand } = require("@aws-sdk/client-sfn");
const { customResource, patient } = require("./cloudformation");

exports.handler = customResource({
  id: (event) => event.LogicalResourceId,
  create: async ({ ResourceProperties: { StateMachineARN } }) => {
    const run = new StartSyncExecutionCommand({ stateMachineArn: StateMachineARN });
    const { status, error, cause } = await new SFNClient(patient).send(run);
    if (status !== "SUCCEEDED") {
      throw new Error(`the files were not copied: ${[status, error, cause].filter(Boolean).join(": ")}`);
    }
  },
});
