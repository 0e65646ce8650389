// App Runner is played here: moto does not have it.
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { ask, fail, failure, serveJson, succeed } = require("./support");
const { zones } = require("./zones");
const { handler } = require("../functions/app-runner-domain");

/** Services with their domains, by ARN. A domain shows the statuses of `script` before it rests at `status`. */
const services = {};
let refusals = 0;

const service = (arn) => {
  const found = services[arn];
  if (!found) throw failure("ResourceNotFoundException", `no service ${arn}`);
  return found;
};

const ready = serveJson({
  DescribeCustomDomains: ({ ServiceArn }) => {
    const { target, domains } = service(ServiceArn);
    const shown = domains.map(({ script, ...domain }) => ({ ...domain, Status: script.shift() ?? domain.Status }));
    for (const domain of domains.filter((d) => d.Status === "deleting" && d.script.length === 0)) {
      domains.splice(domains.indexOf(domain), 1);
    }
    return { ServiceArn, DNSTarget: target, VpcDNSTargets: [], CustomDomains: shown };
  },
  AssociateCustomDomain: ({ ServiceArn, DomainName }) => {
    const others = Object.values(services).flatMap((s) => s.domains);
    if (others.some((domain) => domain.DomainName === DomainName)) {
      throw failure("InvalidRequestException", `${DomainName} is already associated with a service`);
    }
    const proof = (n) => ({ Name: `_${n}.${DomainName}`, Type: "CNAME", Value: `_${n}.proofs.example` });
    service(ServiceArn).domains.push({
      DomainName,
      EnableWWWSubdomain: true,
      Status: "pending_certificate_dns_validation",
      CertificateValidationRecords: [1, 2, 3].map(proof),
      script: ["creating"],
    });
    return { ServiceArn, DNSTarget: service(ServiceArn).target, VpcDNSTargets: [], CustomDomain: {} };
  },
  DisassociateCustomDomain: ({ ServiceArn, DomainName }) => {
    if (refusals-- > 0) throw failure("InvalidStateException", "the service is being changed");
    const domain = service(ServiceArn).domains.find((d) => d.DomainName === DomainName);
    Object.assign(domain, { Status: "deleting", script: ["deleting"] });
    return { ServiceArn, DNSTarget: service(ServiceArn).target, VpcDNSTargets: [], CustomDomain: {} };
  },
}).then((url) => (process.env.AWS_ENDPOINT_URL_APPRUNNER = url));

let count = 0;

/** A service, and the properties of the action that gives it this name. */
async function runner() {
  await ready;
  const arn = `arn:aws:apprunner:eu-west-1:123456789012:service/s${count++}`;
  services[arn] = { target: `t${count}.awsapprunner.example`, domains: [] };
  const found = await zones();
  const properties = {
    ServiceARN: arn,
    AppDNSRole: found.properties.RootDNSRole,
    AppDNSName: found.domain,
    CustomDomain: `www.${found.domain}`,
  };
  return { ...found, properties, arn, target: services[arn].target };
}

const proofs = (name) => [1, 2, 3].map((n) => `_${n}.${name} CNAME _${n}.proofs.example`);

test("a name is associated with its records, and disassociated with them", async () => {
  const { properties, arn, target, records } = await runner();
  const name = properties.CustomDomain;
  const created = await succeed(handler, { RequestType: "Create", ResourceProperties: properties });
  assert.equal(created.PhysicalResourceId, `/associate-domain-app-runner/${name}`);
  assert.deepEqual(await records(), [...proofs(name), `${name} CNAME ${target}`].sort());
  await succeed(handler, { RequestType: "Create", ResourceProperties: properties });

  refusals = 1;
  const deletion = { RequestType: "Delete", ...created, ResourceProperties: properties };
  await succeed(handler, deletion);
  assert.deepEqual(await records(), []);
  assert.deepEqual(services[arn].domains, []);
  await succeed(handler, deletion);
  delete services[arn];
  await succeed(handler, deletion);
});

test("another name is another resource, and the old one is left for its own deletion", async () => {
  const { properties, arn, domain } = await runner();
  const { PhysicalResourceId } = await succeed(handler, { RequestType: "Create", ResourceProperties: properties });
  const now = { ...properties, CustomDomain: `shop.${domain}` };
  const updated = await succeed(handler, {
    RequestType: "Update",
    PhysicalResourceId,
    ResourceProperties: now,
    OldResourceProperties: properties,
  });
  assert.equal(updated.PhysicalResourceId, `/associate-domain-app-runner/shop.${domain}`);
  assert.equal(services[arn].domains.length, 2);
});

test("a name moves with a service that was replaced", async () => {
  const { properties, records } = await runner();
  const { PhysicalResourceId } = await succeed(handler, { RequestType: "Create", ResourceProperties: properties });
  const { arn, target } = await runner();
  const now = { ...properties, ServiceARN: arn };
  await succeed(handler, {
    RequestType: "Update",
    PhysicalResourceId,
    ResourceProperties: now,
    OldResourceProperties: properties,
  });
  assert.deepEqual(services[properties.ServiceARN].domains, []);
  assert.ok((await records()).includes(`${now.CustomDomain} CNAME ${target}`));
});

test("a name that another service has fails, and its records stay as they are", async () => {
  const { properties, records } = await runner();
  await succeed(handler, { RequestType: "Create", ResourceProperties: properties });
  const before = await records();
  const { arn } = await runner();
  const other = { ...properties, ServiceARN: arn };
  const answer = await ask(handler, { RequestType: "Create", ResourceProperties: other });
  assert.match(answer.Reason, /already associated/);
  await succeed(handler, { RequestType: "Delete", ...answer, ResourceProperties: other });
  assert.deepEqual(await records(), before);
});

test("an association that App Runner gives up fails", async () => {
  const { properties, arn } = await runner();
  services[arn].domains.push({
    DomainName: properties.CustomDomain,
    Status: "create_failed",
    EnableWWWSubdomain: true,
    CertificateValidationRecords: [],
    script: [],
  });
  const reason = await fail(handler, { RequestType: "Create", ResourceProperties: properties });
  assert.match(reason, /could not associate/);
});
