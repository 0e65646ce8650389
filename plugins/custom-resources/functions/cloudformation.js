// Answers CloudFormation about a custom resource: once, in time, whatever happened.
//
// CloudFormation waits for a PUT to the event's ResponseURL. A function that ends without one blocks its stack for an hour, so
// everything a function does is raced against the time that Lambda gives it.
"use strict";

const { setTimeout: pause } = require("node:timers/promises");

/** Milliseconds kept back for the answer itself. */
const RESERVE = 30_000;
/** Most bytes CloudFormation reads. */
const LONGEST_ANSWER = 4096;
/** Times the answer is sent until it arrives. Sending it again changes nothing: it is the same object. */
const SENDINGS = 5;

/** Options of every client: a deployment is worth more than a few throttled calls. */
exports.patient = { maxAttempts: 10 };

/**
 * The resource that a request is about, as far as it is known.
 *
 * CloudFormation deletes the resource with the old `id` after an update that answers with another one, so `id` only changes
 * where there is a second thing in the world.
 */
class Resource {
  constructor(id, signal) {
    this.id = id;
    /** Attributes, for `Fn::GetAtt`. */
    this.data = {};
    this.signal = signal;
    this.awaited = undefined;
  }

  /** Asks `probe` again and again until it answers something true, and returns that. */
  async until(awaited, probe) {
    this.awaited = awaited;
    for (let wait = 1_000; ; wait = Math.min(wait * 1.5, 10_000)) {
      this.signal.throwIfAborted();
      const found = await probe();
      if (found) {
        this.awaited = undefined;
        return found;
      }
      // Functions that wait for the same thing should not ask at the same moment.
      await pause(wait * (0.5 + Math.random() / 2), undefined, { signal: this.signal });
    }
  }
}

/**
 * A Lambda handler.
 *
 * `create`, `update` and `remove` get the event and a `Resource`, and change `resource.id` and `resource.data`. `id` is the
 * physical id that a resource begins with. Each may run again after it was cut short: what is done already is left as it is.
 */
exports.customResource =
  ({ id, create, update = create, remove = async () => {} }) =>
  async (event, context) => {
    const { RequestType: type, LogicalResourceId: name } = event;
    const clock = new AbortController();
    const resource = new Resource(event.PhysicalResourceId ?? id(event), clock.signal);
    const given = context.getRemainingTimeInMillis() - RESERVE;
    const timer = setTimeout(() => clock.abort(late(resource, given)), Math.max(given, 0));
    let failure;
    try {
      const work = { Create: create, Update: update, Delete: remove }[type];
      if (!work) throw new Error(`a request of type ${type} is not known`);
      await Promise.race([work(event, resource), expired(clock.signal)]);
    } catch (error) {
      failure = error;
      console.error(`${type} of ${name} failed:`, error);
    } finally {
      clearTimeout(timer);
    }
    await send(event.ResponseURL, answer(event, context, resource, failure));
  };

/** Rejects when time is over. */
const expired = (signal) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

function late(resource, given) {
  const waiting = resource.awaited ? `, still waiting for ${resource.awaited}` : "";
  return new Error(`not done after ${Math.round(given / 1000)} seconds${waiting}`);
}

function answer(event, context, resource, failure) {
  const said = {
    StackId: event.StackId,
    RequestId: event.RequestId,
    LogicalResourceId: event.LogicalResourceId,
    PhysicalResourceId: resource.id,
  };
  const failed = (reason) =>
    JSON.stringify({
      ...said,
      Status: "FAILED",
      Reason: `${reason.slice(0, 2000)} (log: ${context.logGroupName}/${context.logStreamName})`,
    });
  if (failure) return failed(failure.message || String(failure));
  const success = JSON.stringify({ ...said, Status: "SUCCESS", Data: resource.data });
  return Buffer.byteLength(success) <= LONGEST_ANSWER
    ? success
    : failed(`the attributes are longer than the ${LONGEST_ANSWER} bytes that CloudFormation reads`);
}

async function send(url, body) {
  for (let sending = 1; ; sending++) {
    try {
      // As bytes: a text would get a Content-Type, which the URL is not signed for.
      const response = await fetch(url, { method: "PUT", body: Buffer.from(body) });
      if (response.ok) return;
      throw new Error(`the answer was refused: ${response.status} ${await response.text()}`);
    } catch (error) {
      if (sending === SENDINGS) throw error;
      console.error("the answer did not arrive:", error);
      await pause(500 * 2 ** sending);
    }
  }
}
