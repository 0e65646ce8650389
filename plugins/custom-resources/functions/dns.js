// Records in the hosted zones that a workload's names can lie in.
//
// The environment's own zone (`<env>.<app>.<domain>`) is in this account; the application's (`<app>.<domain>`) and the domain's
// are in the application's account, behind a role.
"use strict";

const {
  Route53Client,
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  ListHostedZonesByNameCommand,
  ListResourceRecordSetsCommand,
} = require("@aws-sdk/client-route-53");
const { STSClient, AssumeRoleCommand } = require("@aws-sdk/client-sts");
const { patient } = require("./cloudformation");

/** A client with the powers of `role`. */
exports.route53As = (role) =>
  new Route53Client({
    ...patient,
    credentials: async () => {
      const assume = new AssumeRoleCommand({ RoleArn: role, RoleSessionName: "custom-resource" });
      const { Credentials: found } = await new STSClient(patient).send(assume);
      return {
        accessKeyId: found.AccessKeyId,
        secretAccessKey: found.SecretAccessKey,
        sessionToken: found.SessionToken,
        expiration: found.Expiration,
      };
    },
  });

/** A name as it is compared: Route 53 ends names with a dot, and writes `*` as `\052`. */
const plain = (name) => name.toLowerCase().replace("\\052", "*").replace(/\.$/, "");
exports.sameName = (a, b) => plain(a) === plain(b);

/** A hosted zone. */
class Zone {
  constructor(client, id) {
    this.client = client;
    this.id = id;
  }

  /** The public zone of exactly this name. */
  static async named(client, name) {
    const list = new ListHostedZonesByNameCommand({ DNSName: name });
    const { HostedZones: zones = [] } = await client.send(list);
    const zone = zones.find((zone) => exports.sameName(zone.Name, name) && !zone.Config?.PrivateZone);
    if (!zone) throw new Error(`there is no hosted zone ${name}`);
    return new Zone(client, zone.Id.split("/").pop());
  }

  /** The first record set with this name and type. */
  async find(name, type) {
    const list = new ListResourceRecordSetsCommand({
      HostedZoneId: this.id,
      StartRecordName: name,
      StartRecordType: type,
      MaxItems: 1,
    });
    const { ResourceRecordSets: [record] = [] } = await this.client.send(list);
    return record && exports.sameName(record.Name, name) && record.Type === type ? record : undefined;
  }

  /** Creates or replaces records, all or none, and waits until every name server has them. */
  async write(records, resource) {
    if (records.length > 0) await this.change("UPSERT", records, resource);
  }

  /** Deletes a record set that was read; one that is gone or changed meanwhile is left alone. */
  async remove(record, resource) {
    try {
      await this.change("DELETE", [record], resource);
    } catch (error) {
      if (error.name !== "InvalidChangeBatch") throw error;
      console.log(`${record.Name} is not what it was, and stays:`, error.message);
    }
  }

  async change(action, records, resource) {
    const change = new ChangeResourceRecordSetsCommand({
      HostedZoneId: this.id,
      ChangeBatch: {
        Changes: records.map((record) => ({ Action: action, ResourceRecordSet: record })),
      },
    });
    const { ChangeInfo: info } = await this.client.send(change);
    const names = records.map((record) => record.Name).join(", ");
    await resource.until(`the records of ${names}`, async () => {
      const { ChangeInfo: now } = await this.client.send(new GetChangeCommand({ Id: info.Id }));
      return now.Status === "INSYNC";
    });
  }
}
exports.Zone = Zone;

/** The zones of a workload, from the properties of its custom resource. */
exports.Zones = class Zones {
  constructor({ EnvHostedZoneId, EnvName, AppName, DomainName, RootDNSRole }) {
    const application = exports.route53As(RootDNSRole);
    const found = new Map();
    const named = (name) => {
      if (!found.has(name)) found.set(name, Zone.named(application, name));
      return found.get(name);
    };
    const environment = new Zone(new Route53Client(patient), EnvHostedZoneId);
    /** From the most specific. */
    this.zones = [
      [`${EnvName}.${AppName}.${DomainName}`, async () => environment],
      [`${AppName}.${DomainName}`, () => named(`${AppName}.${DomainName}`)],
      [DomainName, () => named(DomainName)],
    ];
  }

  /** The zone that a name's records belong to, if it is one of ours. */
  async of(name) {
    const zone = this.zones.find(([end]) => `.${plain(name)}`.endsWith(`.${plain(end)}`));
    return zone ? zone[1]() : undefined;
  }

  /** The same, for a name that has to be in one of them. */
  async required(name) {
    const zone = await this.of(name);
    if (!zone) throw new Error(`${name} is not below ${this.zones.at(-1)[0]}`);
    return zone;
  }

  /** Writes records, each into the zone of the name it stands for; `records` are pairs of name and record. */
  async write(records, resource) {
    const byZone = new Map();
    for (const [name, record] of records) {
      const zone = await this.required(name);
      // A wildcard and the name below it are proved by one record.
      const seen = byZone.get(zone) ?? new Map();
      byZone.set(zone, seen.set(`${record.Type} ${plain(record.Name)}`, record));
    }
    const written = [...byZone].map(([zone, list]) => zone.write([...list.values()], resource));
    await Promise.all(written);
  }
};
