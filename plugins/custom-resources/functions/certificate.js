// Requests the certificate of a workload's aliases, proves that the names are ours, and waits for it.
//
// Serves NLBCertValidatorFunction and the static site's CertificateValidationFunction. The physical id is the certificate's ARN,
// which is what the listener or distribution refers to: other names make another certificate, and CloudFormation asks for the old
// one's deletion when nothing uses it any more.
"use strict";

const { createHash } = require("node:crypto");
const {
  ACMClient,
  DeleteCertificateCommand,
  DescribeCertificateCommand,
  RequestCertificateCommand,
} = require("@aws-sdk/client-acm");
const {
  ResourceGroupsTaggingAPIClient,
  paginateGetResources,
} = require("@aws-sdk/client-resource-groups-tagging-api");
const { customResource, patient } = require("./cloudformation");
const { Zones, sameName } = require("./dns");

/** Where CloudFront looks for certificates. */
const CLOUDFRONT_REGION = "us-east-1";

exports.handler = customResource({
  id: (event) => event.LogicalResourceId,
  create: issue,
  update: (event, resource) => {
    const unchanged = sameNames(event.ResourceProperties, event.OldResourceProperties);
    return unchanged ? Promise.resolve() : issue(event, resource);
  },
  remove: revoke,
});

const isForCloudFront = (properties) => String(properties.IsCloudFrontCertificate) === "true";
const region = (properties) =>
  isForCloudFront(properties) ? CLOUDFRONT_REGION : process.env.AWS_REGION;

/** The name that every workload has, then its aliases. */
function names(properties) {
  const { ServiceName, EnvName, AppName, DomainName, Aliases = [] } = properties;
  const own = isForCloudFront(properties) ? ServiceName : `${ServiceName}-nlb`;
  return [...new Set([`${own}.${EnvName}.${AppName}.${DomainName}`, ...Aliases])];
}

const sameNames = (a, b) => names(a).sort().join() === names(b).sort().join();

async function issue(event, resource) {
  const properties = event.ResourceProperties;
  const acm = new ACMClient({ ...patient, region: region(properties) });
  const zones = new Zones(properties);
  await checkFree(zones, properties, event.OldResourceProperties);
  const [domain, ...aliases] = names(properties);
  const request = new RequestCertificateCommand({
    DomainName: domain,
    SubjectAlternativeNames: aliases.length > 0 ? aliases : undefined,
    ValidationMethod: "DNS",
    // Lambda may run the same request again; another request is another certificate.
    IdempotencyToken: createHash("sha256").update(event.RequestId).digest("hex").slice(0, 32),
    Tags: [
      { Key: "copilot-application", Value: properties.AppName },
      { Key: "copilot-environment", Value: properties.EnvName },
      { Key: "copilot-service", Value: properties.ServiceName },
    ],
  });
  const { CertificateArn: arn } = await acm.send(request);
  // From here on there is something to delete, whatever happens.
  resource.id = arn;
  const proofs = await resource.until("the records that prove the names", async () => {
    const { DomainValidationOptions: options = [] } = await describe(acm, arn);
    const complete = options.length > aliases.length && options.every((o) => o.ResourceRecord);
    return complete ? options : undefined;
  });
  await zones.write(
    proofs.map((proof) => [proof.DomainName, recordOf(proof)]),
    resource,
  );
  await resource.until(`certificate ${arn} to be issued`, async () => {
    const { Status, FailureReason } = await describe(acm, arn);
    if (Status !== "ISSUED" && Status !== "PENDING_VALIDATION") {
      throw new Error(`certificate ${arn} is ${Status}: ${FailureReason ?? "no reason is given"}`);
    }
    return Status === "ISSUED";
  });
}

async function describe(acm, arn) {
  const { Certificate } = await acm.send(new DescribeCertificateCommand({ CertificateArn: arn }));
  return Certificate;
}

const recordOf = ({ ResourceRecord: { Name, Type, Value } }) => ({
  Name,
  Type,
  TTL: 60,
  ResourceRecords: [{ Value }],
});

/** Whether a record leads to the load balancer of this workload. */
const leadsTo = (record, target) =>
  Boolean(target && record.AliasTarget && sameName(record.AliasTarget.DNSName, target));

/** Refuses aliases that somebody else uses, before anything is requested. */
async function checkFree(zones, properties, before) {
  const added = (properties.Aliases ?? []).filter((alias) => !before?.Aliases?.includes(alias));
  await Promise.all(
    added.map(async (alias) => {
      const record = await (await zones.required(alias)).find(alias, "A");
      if (record && !leadsTo(record, properties.LoadBalancerDNS)) {
        const target = record.AliasTarget?.DNSName ?? "addresses of its own";
        throw new Error(`${alias} is in use: it leads to ${target}, which is not this workload`);
      }
    }),
  );
}

async function revoke(event, resource) {
  const properties = event.ResourceProperties;
  // A request that failed early left nothing.
  if (!resource.id.startsWith("arn:")) return;
  const acm = new ACMClient({ ...patient, region: region(properties) });
  try {
    const certificate = await resource.until(`certificate ${resource.id} to be unused`, async () => {
      const certificate = await describe(acm, resource.id);
      return certificate.InUseBy?.length ? undefined : certificate;
    });
    // Before the certificate: once it is gone nobody knows which records were its own.
    await withdraw(certificate, properties, resource);
    await acm.send(new DeleteCertificateCommand({ CertificateArn: resource.id }));
  } catch (error) {
    if (error.name !== "ResourceNotFoundException") throw error;
  }
}

/** Deletes the records that proved this certificate's names and that no other certificate needs. */
async function withdraw(certificate, properties, resource) {
  const zones = new Zones(properties);
  const needed = new Set(await proofsOfOthers(certificate.CertificateArn, properties));
  const proofs = (certificate.DomainValidationOptions ?? []).filter((proof) => proof.ResourceRecord);
  for (const { DomainName: name, ResourceRecord: proof } of proofs) {
    const zone = await zones.of(name);
    if (needed.has(proof.Name) || !zone || (await isElsewhere(zone, name, properties))) continue;
    const record = await zone.find(proof.Name, proof.Type);
    if (record) await zone.remove(record, resource);
  }
}

/** True if a name leads to another load balancer, whose certificate is proved by the same record. */
async function isElsewhere(zone, name, { LoadBalancerDNS: own }) {
  const record = own && (await zone.find(name, "A"));
  return Boolean(record && !leadsTo(record, own));
}

/**
 * Names of the records that other certificates of the application need. An account proves a name with the same record in
 * every region.
 */
async function proofsOfOthers(own, properties) {
  const regions = [...new Set([region(properties), process.env.AWS_REGION])];
  const found = await Promise.all(
    regions.map(async (region) => {
      const acm = new ACMClient({ ...patient, region });
      const client = new ResourceGroupsTaggingAPIClient({ ...patient, region });
      const filter = {
        ResourceTypeFilters: ["acm:certificate"],
        TagFilters: [{ Key: "copilot-application", Values: [properties.AppName] }],
      };
      const records = [];
      for await (const { ResourceTagMappingList = [] } of paginateGetResources({ client }, filter)) {
        for (const { ResourceARN: arn } of ResourceTagMappingList) {
          if (arn !== own) records.push(...(await proofs(acm, arn)));
        }
      }
      return records;
    }),
  );
  return found.flat();
}

/** Names of the records that prove a certificate; none if it is gone, which tags forget late. */
async function proofs(acm, arn) {
  try {
    const { DomainValidationOptions: options = [] } = await describe(acm, arn);
    return options.flatMap((option) => option.ResourceRecord?.Name ?? []);
  } catch (error) {
    if (error.name !== "ResourceNotFoundException") throw error;
    return [];
  }
}
