import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { assertOneEffectEach, assertOrderPerSubject, ofType } from "../support/log.ts";
import { countsOf, startWorld } from "../support/world.ts";

const relay = `
import { event, on, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
export const relay = on(Placed, { emits: [Noted], start: "first" }, async ({ data }, ctx) => {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
  ctx.emit(Noted, { n: data.n });
});
`;

/** Sends one event until it is stored; the answers that it got before. */
async function send(url: string, n: number): Promise<number[]> {
  const refusals: number[] = [];
  const headers = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-type": "com.acme.order.placed",
    "ce-source": "/test",
    "ce-id": `e${n}`,
    "ce-subject": `order-${n % 20}`,
  };
  await eventually(
    async () => {
      const body = JSON.stringify({ n });
      const response = await fetch(`${url}/events`, { method: "POST", headers, body });
      const text = await response.text();
      if (response.status === 202) return true;
      assert.equal(response.headers.get("content-type"), "application/problem+json", text);
      refusals.push(response.status);
      throw new Error(text);
    },
    { timeoutMs: 20_000, what: `that event ${n} is stored` },
  );
  return refusals;
}

test("P1 P2: the server killed and started again under load, twice, costs no event and doubles no effect; meanwhile the node says that it is not ready", async () => {
  await using world = await startWorld({ "relay.ts": relay });
  await using node = await world.start();
  let next = 0;
  const refusals: number[] = [];
  // Each key has one sender, which waits for each answer: so the order of a key is the order of its numbers.
  const sending = Array.from({ length: 20 }, async (_, lane) => {
    for (let n = lane; n < 600; n += 20) {
      refusals.push(...(await send(node.url, n)));
      next = Math.max(next, n);
    }
  });
  for (const at of [150, 350]) {
    await eventually(() => next >= at, { timeoutMs: 20_000 });
    await world.nats.kill();
    const { body } = await eventually(async () => {
      const now = await node.readiness();
      return now.status === 503 ? now : undefined;
    });
    assert.match(body, /not connected to NATS/);
    await world.nats.restart();
    await node.untilReady();
  }
  await Promise.all(sending);
  assert.ok(refusals.length > 0 && refusals.every((status) => status === 503), String(refusals));
  const rows = await world.settled();
  const log = await world.log();
  const stored = ofType(log, "com.acme.order.placed");
  const effects = ofType(log, "com.acme.order.noted");
  assertOneEffectEach(stored, effects);
  assertOrderPerSubject(effects);
  assert.deepEqual(countsOf(rows, "relay.relay"), [stored.length, 600, stored.length - 600, 0]);
});

test("P1: started before its server a node answers HTTP, says why it is not ready and to senders that they shall try again, and works once the server is there", async () => {
  await using world = await startWorld({ "relay.ts": relay });
  await world.nats.kill();
  await using node = await world.start({ ready: false });
  const { body } = await eventually(
    async () => {
      const now = await node.readiness();
      return now.status === 503 ? now : undefined;
    },
    { timeoutMs: 15_000 },
  );
  assert.match(body, /not connected to NATS/);
  assert.equal((await fetch(`${node.url}/healthz`)).status, 200);
  const sending = send(node.url, 1);
  await eventually(() => /EDDY_NOT_CONNECTED.*next try in/.test(node.output()));
  await world.nats.restart();
  await node.untilReady();
  const refusals = await sending;
  assert.ok(refusals.length > 0 && refusals.every((status) => status === 503), String(refusals));
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [1, 1, 0, 0]);
  assert.equal(ofType(await world.log(), "com.acme.order.noted").length, 1);
});
