"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const elb = require("@aws-sdk/client-elastic-load-balancing-v2");
const { fail, succeed, unique } = require("./support");
const { nextAvailableRulePriorityHandler: handler } = require("../functions/rule-priority");

const client = new elb.ElasticLoadBalancingV2Client();

/** Ids of subnets that moto has from the start. */
async function subnets() {
  const answer = await fetch(process.env.AWS_ENDPOINT_URL, {
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      authorization: `AWS4-HMAC-SHA256 Credential=${process.env.AWS_ACCESS_KEY_ID}/20260101/${process.env.AWS_REGION}/ec2/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: "Action=DescribeSubnets&Version=2016-11-15",
  });
  return [...(await answer.text()).matchAll(/<subnetId>([^<]+)/g)].map((found) => found[1]).slice(0, 2);
}

/** A listener with rules of these priorities. */
async function listener(priorities) {
  const create = new elb.CreateLoadBalancerCommand({ Name: unique("lb-"), Subnets: await subnets() });
  const { LoadBalancers: [balancer] } = await client.send(create);
  const respond = [{ Type: "fixed-response", FixedResponseConfig: { StatusCode: "404" } }];
  const { Listeners: [{ ListenerArn }] } = await client.send(
    new elb.CreateListenerCommand({
      LoadBalancerArn: balancer.LoadBalancerArn,
      Port: 80,
      Protocol: "HTTP",
      DefaultActions: respond,
    }),
  );
  for (const Priority of priorities) {
    const Conditions = [{ Field: "path-pattern", Values: [`/${Priority}`] }];
    const rule = { ListenerArn, Priority, Conditions, Actions: respond };
    await client.send(new elb.CreateRuleCommand(rule));
  }
  return ListenerArn;
}

const priorities = async (taken, RulePath) => {
  const ListenerArn = await listener(taken);
  const request = { RequestType: "Create", ResourceProperties: { ListenerArn, RulePath } };
  return (await succeed(handler, request)).Data;
};

test("rules come after those that are there, and rules for / before those for /", async () => {
  assert.deepEqual(await priorities([], ["/"]), { Priority: 50000 });
  assert.deepEqual(await priorities([], ["a"]), { Priority: 1 });
  assert.deepEqual(await priorities([3, 7, 49990], ["a", "/", "b", "/"]), {
    Priority: 8,
    Priority1: 49989,
    Priority2: 9,
    Priority3: 49988,
  });
});

test("a path that is a text is one rule", async () => {
  assert.deepEqual(await priorities([1], "/"), { Priority: 50000 });
});

test("gaps are used when the end is reached", async () => {
  assert.deepEqual(await priorities([1, 2, 47999, 48000], ["a", "b", "/"]), {
    Priority: 3,
    Priority1: 4,
    Priority2: 48001,
  });
});

test("more rules than one page are seen", async () => {
  const taken = Array.from({ length: 120 }, (_, index) => index + 1);
  assert.deepEqual(await priorities(taken, ["a"]), { Priority: 121 });
});

test("a listener that is not there fails; a deletion does nothing", async () => {
  const ListenerArn = `${await listener([])}0`;
  const properties = { ResourceProperties: { ListenerArn, RulePath: ["/"] } };
  assert.match(await fail(handler, { RequestType: "Update", ...properties }), /listener/i);
  const answer = await succeed(handler, { RequestType: "Delete", ...properties });
  assert.equal(answer.PhysicalResourceId, "alb-rule-priority-Action");
});
