"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { fail, succeed } = require("./support");
const { alias, zones } = require("./zones");
const { handler } = require("../functions/alias-records");

const OWN = { PublicAccessDNS: "own.elb.example", PublicAccessHostedZoneID: "ZLB" };

const request = (RequestType, properties, before) => ({
  RequestType,
  ResourceProperties: properties,
  OldResourceProperties: before,
});

test("each alias gets its record in the most specific zone, and loses it when it is given up", async () => {
  const { domain, properties, records } = await zones();
  const first = {
    ...properties,
    ...OWN,
    Aliases: [`a.test.shop.${domain}`, `b.shop.${domain}`, `c.${domain}`, domain, `*.${domain}`],
  };
  const created = await succeed(handler, request("Create", first));
  assert.equal(created.PhysicalResourceId, "Action");
  const all = first.Aliases.map((name) => `${name} A own.elb.example`).sort();
  assert.deepEqual(await records(), all);

  const second = { ...first, Aliases: [`c.${domain}`, `d.${domain}`] };
  await succeed(handler, request("Update", second, first));
  assert.deepEqual(await records(), [`c.${domain} A own.elb.example`, `d.${domain} A own.elb.example`]);

  await succeed(handler, request("Delete", second));
  await succeed(handler, request("Delete", second));
  assert.deepEqual(await records(), []);
});

test("the records follow a load balancer that was replaced", async () => {
  const { domain, properties, records } = await zones();
  const before = { ...properties, ...OWN, Aliases: [`a.${domain}`] };
  await succeed(handler, request("Create", before));
  const now = { ...before, PublicAccessDNS: "new.elb.example" };
  await succeed(handler, request("Update", now, before));
  assert.deepEqual(await records(), [`a.${domain} A new.elb.example`]);
});

test("an alias that leads to somebody else is not taken, and nothing else is written", async () => {
  const { domain, properties, records, put } = await zones();
  await put(0, alias(`a.${domain}`, "other.elb.example"));
  await put(0, { Name: `*.${domain}`, Type: "A", TTL: 60, ResourceRecords: [{ Value: "192.0.2.1" }] });
  const before = await records();
  const wanted = (name) => ({ ...properties, ...OWN, Aliases: [`free.${domain}`, name] });
  const taken = await fail(handler, request("Create", wanted(`a.${domain}`)));
  assert.match(taken, /in use: it points at other\.elb\.example/);
  assert.match(await fail(handler, request("Create", wanted(`*.${domain}`))), /has addresses/);
  assert.match(await fail(handler, request("Create", wanted("a.else.example"))), /is not below/);
  assert.deepEqual(await records(), before);
});

test("a record that leads to somebody else is not deleted", async () => {
  const { domain, properties, records, put } = await zones();
  await put(0, alias(`a.${domain}`, "other.elb.example"));
  await succeed(handler, request("Delete", { ...properties, ...OWN, Aliases: [`a.${domain}`] }));
  assert.deepEqual(await records(), [`a.${domain} A other.elb.example`]);
});

test("a record that the console made, and one that Copilot made, are our own", async () => {
  const { domain, properties, records, put } = await zones();
  await put(0, alias(`a.${domain}`, `dualstack.${OWN.PublicAccessDNS}`));
  const mine = { ...properties, ...OWN, Aliases: [`a.${domain}`] };
  await succeed(handler, request("Update", mine, { ...mine, Aliases: [] }));
  assert.deepEqual(await records(), [`a.${domain} A own.elb.example`]);
  await succeed(handler, request("Delete", mine));
  assert.deepEqual(await records(), []);
});
