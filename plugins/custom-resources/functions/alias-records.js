// Points a workload's aliases at its load balancer or distribution.
//
// Serves NLBCustomDomainFunction and the static site's CustomDomainFunction. An alias that points somewhere else belongs to
// somebody else: it is neither taken nor deleted.
"use strict";

const { customResource } = require("./cloudformation");
const { Zones, sameName } = require("./dns");

/** Hosted zones of CloudFront, in China and elsewhere. Route 53 cannot look into its health. */
const CLOUDFRONT = ["Z3RFFRIM2A3IF5", "Z2FDTNDATAQYW2"];

exports.handler = customResource({
  id: (event) => event.LogicalResourceId,
  create: (event, resource) => point(event.ResourceProperties, undefined, resource),
  update: (event, resource) => point(event.ResourceProperties, event.OldResourceProperties, resource),
  remove: (event, resource) => release(event.ResourceProperties, [], targets(event), resource),
});

const targets = ({ ResourceProperties: now, OldResourceProperties: before }) =>
  [now.PublicAccessDNS, before?.PublicAccessDNS].filter(Boolean);

/** True if a record leads to one of `targets`; the console puts `dualstack.` before a load balancer's name. */
const leadsTo = (record, targets) =>
  targets.some((target) => {
    const name = record.AliasTarget?.DNSName.replace(/^dualstack\./i, "");
    return name !== undefined && sameName(name, target);
  });

async function point(now, before, resource) {
  const zones = new Zones(now);
  const aliases = now.Aliases ?? [];
  const own = targets({ ResourceProperties: now, OldResourceProperties: before });
  await Promise.all(
    aliases.map(async (alias) => {
      const record = await (await zones.required(alias)).find(alias, "A");
      if (record && !leadsTo(record, own)) {
        const user = record.AliasTarget ? `points at ${record.AliasTarget.DNSName}` : "has addresses";
        throw new Error(`${alias} is in use: it ${user}, which is not this workload`);
      }
    }),
  );
  const record = (alias) => ({
    Name: alias,
    Type: "A",
    AliasTarget: {
      DNSName: now.PublicAccessDNS,
      HostedZoneId: now.PublicAccessHostedZoneID,
      EvaluateTargetHealth: !CLOUDFRONT.includes(now.PublicAccessHostedZoneID),
    },
  });
  await zones.write(aliases.map((alias) => [alias, record(alias)]), resource);
  if (before) await release(before, aliases, own, resource);
}

/** Deletes the records of the aliases that are not in `kept`. */
async function release(properties, kept, own, resource) {
  const zones = new Zones(properties);
  const stale = (properties.Aliases ?? []).filter((alias) => !kept.includes(alias));
  await Promise.all(
    stale.map(async (alias) => {
      const zone = await zones.required(alias);
      const record = await zone.find(alias, "A");
      if (record && leadsTo(record, own)) await zone.remove(record, resource);
    }),
  );
}
