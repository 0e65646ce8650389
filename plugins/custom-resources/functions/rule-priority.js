// Finds free priorities for the rules of a workload on a listener that several workloads share.
//
// A rule for the path `/` catches everything, so such rules stand after all others: they count down from 50,000 and others stay
// below 48,000. The attributes are Priority, Priority1, Priority2, … in the order of RulePath.
"use strict";

const {
  ElasticLoadBalancingV2Client,
  paginateDescribeRules,
} = require("@aws-sdk/client-elastic-load-balancing-v2");
const { customResource, patient } = require("./cloudformation");

/** Priorities of the rules for `/`: the first and the last. */
const ROOT = [48_000, 50_000];

exports.nextAvailableRulePriorityHandler = customResource({
  id: (event) => `alb-rule-priority-${event.LogicalResourceId}`,
  create: async ({ ResourceProperties: { ListenerArn, RulePath } }, resource) => {
    const free = new Priorities(await taken(ListenerArn));
    [RulePath].flat().forEach((path, index) => {
      resource.data[`Priority${index || ""}`] = path === "/" ? free.last() : free.first();
    });
  },
});

/** The priorities that the listener's rules have. */
async function taken(listener) {
  const client = new ElasticLoadBalancingV2Client(patient);
  const taken = [];
  for await (const { Rules = [] } of paginateDescribeRules({ client }, { ListenerArn: listener })) {
    taken.push(...Rules.map((rule) => Number(rule.Priority)).filter(Number.isInteger));
  }
  return taken;
}

class Priorities {
  constructor(taken) {
    this.taken = new Set(taken);
    this.highest = Math.max(0, ...taken.filter((n) => n < ROOT[0]));
    this.lowest = Math.min(ROOT[1] + 1, ...taken.filter((n) => n >= ROOT[0]));
  }

  /** After all rules that are not for `/`; in a gap between them only when there is no room. */
  first() {
    return this.take(this.highest + 1 < ROOT[0] ? ++this.highest : this.gap(1, ROOT[0] - 1));
  }

  /** Before all rules for `/`; in a gap between them only when there is no room. */
  last() {
    return this.take(this.lowest > ROOT[0] ? --this.lowest : this.gap(...ROOT));
  }

  gap(from, to) {
    for (let priority = from; priority <= to; priority++) {
      if (!this.taken.has(priority)) return priority;
    }
    throw new Error(`the listener has no free priority between ${from} and ${to}`);
  }

  take(priority) {
    this.taken.add(priority);
    return priority;
  }
}
