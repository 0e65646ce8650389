// Gives an App Runner service its own domain name: the association, the record that leads to the service, and the records that
// prove the name. App Runner goes on checking those for up to a day; nobody waits for that here.
"use strict";

const {
  AppRunnerClient,
  AssociateCustomDomainCommand,
  DisassociateCustomDomainCommand,
  paginateDescribeCustomDomains,
} = require("@aws-sdk/client-apprunner");
const { customResource, patient } = require("./cloudformation");
const { Zone, route53As } = require("./dns");

/** One thing in the world for each name: another name is another resource, and the old one is deleted afterwards. */
const physicalId = ({ CustomDomain }) => `/associate-domain-app-runner/${CustomDomain}`;

exports.handler = customResource({
  id: ({ ResourceProperties: properties }) => physicalId(properties),
  create: ({ ResourceProperties: now }, resource) => associate(now, resource),
  update: async ({ ResourceProperties: now, OldResourceProperties: before }, resource) => {
    resource.id = physicalId(now);
    const moves = before.ServiceARN !== now.ServiceARN && before.CustomDomain === now.CustomDomain;
    // A name belongs to one service at a time.
    if (moves) await disassociate(before, resource);
    await associate(now, resource);
  },
  remove: ({ ResourceProperties: properties }, resource) => disassociate(properties, resource),
});

const appRunner = new AppRunnerClient(patient);

const cname = (name, value) => ({
  Name: name,
  Type: "CNAME",
  TTL: 60,
  ResourceRecords: [{ Value: value }],
});

const zoneOf = ({ AppDNSRole, AppDNSName }) => Zone.named(route53As(AppDNSRole), AppDNSName);

/** What App Runner knows of a service's domain name. */
async function lookUp({ ServiceARN, CustomDomain }) {
  const pages = paginateDescribeCustomDomains({ client: appRunner }, { ServiceArn: ServiceARN });
  for await (const { DNSTarget: target, CustomDomains: domains = [] } of pages) {
    const domain = domains.find((domain) => domain.DomainName === CustomDomain);
    if (domain) return { target, domain };
  }
  return undefined;
}

async function associate(properties, resource) {
  const { ServiceARN, CustomDomain } = properties;
  const zone = await zoneOf(properties);
  if (!(await lookUp(properties))) {
    const wanted = { ServiceArn: ServiceARN, DomainName: CustomDomain };
    await appRunner.send(new AssociateCustomDomainCommand(wanted));
  }
  const { target, domain } = await resource.until(`records that prove ${CustomDomain}`, async () => {
    const found = await lookUp(properties);
    if (found?.domain.Status === "create_failed") {
      throw new Error(`App Runner could not associate ${CustomDomain}`);
    }
    return found && isProvable(found.domain) ? found : undefined;
  });
  const proofs = domain.CertificateValidationRecords.map(({ Name, Value }) => cname(Name, Value));
  await zone.write([cname(CustomDomain, target), ...proofs], resource);
}

/** True once all records are known. A name that was associated before is active at once, and its records come later. */
function isProvable({ Status, EnableWWWSubdomain, CertificateValidationRecords: records = [] }) {
  if (Status === "pending_certificate_dns_validation") return records.length > 0;
  return Status === "active" && records.length >= (EnableWWWSubdomain ? 3 : 2);
}

async function disassociate(properties, resource) {
  const { ServiceARN, CustomDomain } = properties;
  const found = await ignoring(["ResourceNotFoundException"], () => lookUp(properties));
  if (!found) return;
  const zone = await zoneOf(properties);
  const proofs = found.domain.CertificateValidationRecords ?? [];
  // The records first: once the association is gone nobody knows which they were.
  for (const [name, value] of [[CustomDomain, found.target], ...proofs.map((p) => [p.Name, p.Value])]) {
    const record = await zone.find(name, "CNAME");
    if (record?.ResourceRecords?.some((r) => r.Value === value)) await zone.remove(record, resource);
  }
  let asked = false;
  await resource.until(`${CustomDomain} to be disassociated`, async () => {
    const now = await ignoring(["ResourceNotFoundException"], () => lookUp(properties));
    if (!now) return true;
    if (now.domain.Status === "delete_failed" && asked) {
      throw new Error(`App Runner could not disassociate ${CustomDomain}`);
    }
    if (now.domain.Status !== "deleting") {
      // A service that is being changed refuses for a while.
      const refusals = ["InvalidRequestException", "InvalidStateException"];
      const unwanted = { ServiceArn: ServiceARN, DomainName: CustomDomain };
      asked = await ignoring(refusals, () => appRunner.send(new DisassociateCustomDomainCommand(unwanted)));
    }
    return false;
  });
}

/** What `work` answers, or nothing if it fails with one of these. */
async function ignoring(names, work) {
  try {
    return await work();
  } catch (error) {
    if (!names.includes(error.name)) throw error;
    console.log("taken as done, or asked again:", error.message);
    return undefined;
  }
}
