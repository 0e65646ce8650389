// The hosted zones of an application, made anew for a test.
"use strict";

const route53 = require("@aws-sdk/client-route-53");
const { unique } = require("./support");

const client = new route53.Route53Client();

/**
 * Zones of the domain, the application and the environment. `properties` are those of a custom resource; `records()` are all
 * records, as `name type value`.
 */
exports.zones = async () => {
  const DomainName = `${unique("d")}.example`;
  const names = [DomainName, `shop.${DomainName}`, `test.shop.${DomainName}`];
  const ids = [];
  // A private zone of the same name is somebody else's.
  const VPC = { VPCRegion: "eu-west-1", VPCId: "vpc-1" };
  await create(DomainName, { VPC, HostedZoneConfig: { PrivateZone: true } });
  for (const name of names) ids.push(await create(name));
  return {
    domain: DomainName,
    ids,
    properties: {
      EnvHostedZoneId: ids[2],
      EnvName: "test",
      AppName: "shop",
      ServiceName: "api",
      RootDNSRole: "arn:aws:iam::123456789012:role/shop-DNSDelegationRole",
      DomainName,
    },
    records: () => records(ids),
    put: (zone, record) => put(ids[zone], record),
  };
};

async function create(Name, more) {
  const command = new route53.CreateHostedZoneCommand({ Name, CallerReference: unique("r"), ...more });
  const { HostedZone } = await client.send(command);
  return HostedZone.Id.split("/").pop();
}

async function records(ids) {
  const found = [];
  for (const HostedZoneId of ids) {
    const list = new route53.ListResourceRecordSetsCommand({ HostedZoneId });
    const { ResourceRecordSets: sets } = await client.send(list);
    for (const { Name, Type, AliasTarget, ResourceRecords = [] } of sets) {
      if (Type === "NS" || Type === "SOA") continue;
      const value = AliasTarget?.DNSName ?? ResourceRecords.map((record) => record.Value).join();
      const plain = (text) => text.replace(/\.$/, "").replace("\\052", "*");
      found.push(`${plain(Name)} ${Type} ${plain(value)}`);
    }
  }
  return found.sort();
}

async function put(HostedZoneId, record) {
  const Changes = [{ Action: "UPSERT", ResourceRecordSet: record }];
  const change = { HostedZoneId, ChangeBatch: { Changes } };
  await client.send(new route53.ChangeResourceRecordSetsCommand(change));
}

/** A record that leads to a load balancer. */
exports.alias = (Name, DNSName, more) => ({
  Name,
  Type: "A",
  AliasTarget: { DNSName, HostedZoneId: "ZLB", EvaluateTargetHealth: true },
  ...more,
});
