"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const acm = require("@aws-sdk/client-acm");
const { ask, fail, succeed } = require("./support");
const { alias, zones } = require("./zones");
const { handler } = require("../functions/certificate");

const here = new acm.ACMClient();
const cloudFront = new acm.ACMClient({ region: "us-east-1" });

const LoadBalancerDNS = "own.elb.example";

const describe = async (client, arn) => {
  const { Certificate } = await client.send(new acm.DescribeCertificateCommand({ CertificateArn: arn }));
  return Certificate;
};

/** The names of a certificate's proofs, as they stand in a zone. */
const proofs = (certificate) =>
  certificate.DomainValidationOptions.map(({ ResourceRecord: { Name, Value } }) =>
    `${Name.replace(/\.$/, "")} CNAME ${Value.replace(/\.$/, "")}`,
  ).sort();

test("a certificate for the load balancer's name and its aliases is requested, proved, issued and deleted", async () => {
  const { domain, properties, records } = await zones();
  const wanted = { ...properties, LoadBalancerDNS, Aliases: [`a.test.shop.${domain}`, `b.${domain}`] };
  const created = await succeed(handler, { RequestType: "Create", ResourceProperties: wanted });
  const arn = created.PhysicalResourceId;
  const certificate = await describe(here, arn);
  assert.equal(certificate.Status, "ISSUED");
  const names = [`api-nlb.test.shop.${domain}`, ...wanted.Aliases];
  assert.deepEqual([...certificate.SubjectAlternativeNames].sort(), names.sort());
  assert.deepEqual(await records(), proofs(certificate));
  const tags = new acm.ListTagsForCertificateCommand({ CertificateArn: arn });
  assert.equal((await here.send(tags)).Tags.length, 3);

  const unchanged = { RequestType: "Update", PhysicalResourceId: arn, ResourceProperties: wanted };
  const kept = await succeed(handler, { ...unchanged, OldResourceProperties: wanted });
  assert.equal(kept.PhysicalResourceId, arn);

  const deletion = { RequestType: "Delete", PhysicalResourceId: arn, ResourceProperties: wanted };
  await succeed(handler, deletion);
  await succeed(handler, deletion);
  await assert.rejects(describe(here, arn), { name: "ResourceNotFoundException" });
  assert.deepEqual(await records(), []);
});

test("other aliases are another certificate, and the old one's deletion keeps the proofs that are still needed", async () => {
  const { domain, properties, records } = await zones();
  const first = { ...properties, LoadBalancerDNS, Aliases: [`a.${domain}`] };
  const old = await succeed(handler, { RequestType: "Create", ResourceProperties: first });
  const second = { ...first, Aliases: [`b.${domain}`] };
  const updated = await succeed(handler, {
    RequestType: "Update",
    PhysicalResourceId: old.PhysicalResourceId,
    ResourceProperties: second,
    OldResourceProperties: first,
  });
  assert.notEqual(updated.PhysicalResourceId, old.PhysicalResourceId);
  await succeed(handler, {
    RequestType: "Delete",
    PhysicalResourceId: old.PhysicalResourceId,
    ResourceProperties: first,
  });
  const left = await records();
  for (const proof of proofs(await describe(here, updated.PhysicalResourceId))) {
    assert.ok(left.includes(proof), `${proof} is not in ${left}`);
  }
});

test("a site's certificate is where CloudFront looks, and an alias it has already is no obstacle", async () => {
  const { domain, properties, put, records } = await zones();
  const first = { ...properties, IsCloudFrontCertificate: "true", Aliases: [`*.${domain}`] };
  const created = await succeed(handler, { RequestType: "Create", ResourceProperties: first });
  assert.match(created.PhysicalResourceId, /^arn:aws:acm:us-east-1:/);
  const { DomainName } = await describe(cloudFront, created.PhysicalResourceId);
  assert.equal(DomainName, `api.test.shop.${domain}`);
  await put(0, alias(`*.${domain}`, "d1.cloudfront.example"));
  const second = { ...first, Aliases: [`*.${domain}`, domain] };
  const update = { RequestType: "Update", PhysicalResourceId: created.PhysicalResourceId };
  const more = { ResourceProperties: second, OldResourceProperties: first };
  const updated = await succeed(handler, { ...update, ...more });
  for (const PhysicalResourceId of [created.PhysicalResourceId, updated.PhysicalResourceId]) {
    await succeed(handler, { RequestType: "Delete", PhysicalResourceId, ResourceProperties: second });
  }
  assert.deepEqual(await records(), [`*.${domain} A d1.cloudfront.example`]);
});

test("an alias of somebody else's is refused before anything is requested", async () => {
  const { domain, properties, put, records } = await zones();
  await put(0, alias(`a.${domain}`, "other.elb.example"));
  const wanted = { ...properties, LoadBalancerDNS, Aliases: [`a.${domain}`] };
  const request = { RequestType: "Create", ResourceProperties: wanted };
  const answer = await ask(handler, request);
  assert.match(answer.Reason, /leads to other\.elb\.example/);
  const deletion = { RequestType: "Delete", PhysicalResourceId: answer.PhysicalResourceId };
  await succeed(handler, { ...deletion, ResourceProperties: wanted });
  assert.deepEqual(await records(), [`a.${domain} A other.elb.example`]);
});

test("a certificate that is not issued in time is named, so that the rollback deletes it", async () => {
  const { domain, properties } = await zones();
  const wanted = { ...properties, LoadBalancerDNS, Aliases: [`a.${domain}`] };
  const request = { RequestType: "Create", ResourceProperties: wanted };
  const answer = await ask(handler, request, { seconds: 0.9 });
  assert.match(answer.Reason, /still waiting for certificate arn:.* to be issued/);
  assert.match(answer.PhysicalResourceId, /^arn:/);
  const deletion = { RequestType: "Delete", PhysicalResourceId: answer.PhysicalResourceId };
  await succeed(handler, { ...deletion, ResourceProperties: wanted });
  assert.equal((await fail(handler, { RequestType: "Repair", ResourceProperties: wanted })).includes("Repair"), true);
});
