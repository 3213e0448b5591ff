import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { decodeRecord } from "../../runtime/pipeline/ledger/record.ts";
import { eventually } from "../support/eventually.ts";
import {
  assertOneEffectEach,
  assertOrderPerSubject,
  countMessages,
  ofType,
} from "../support/log.ts";
import { countsOf, startWorld, type World } from "../support/world.ts";

// Lanes run side by side and finish in any order. Each 50th event is slow: what is done above it is above the floor.
const relay = `
import { event, on, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const relay = on(Placed, { emits: [Noted], start: "first" }, async ({ data }, ctx) => {
  await sleep(data.n % 50 === 0 ? 200 : Math.random() * 30);
  ctx.emit(Noted, { n: data.n });
});
`;
const name = "relay.relay";
const noted = "events.com.acme.order.noted.*";

const placed = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    id: `e${from + i}`,
    type: "com.acme.order.placed",
    subject: `order-${(from + i) % 40}`,
    data: { n: from + i },
  }));

async function untilNoted(world: World, count: number): Promise<void> {
  const many = async () => (await countMessages(world.nc, noted)) >= count;
  await eventually(many, { timeoutMs: 20_000, what: `that ${count} are noted` });
}

/** Completed positions that the handler's ledger holds above its floor. */
async function completedAboveFloor(world: World): Promise<number> {
  const jsm = await jetstreamManager(world.nc);
  const last = await jsm.streams.getMessage("EVENTS", { last_by_subj: "ledger.eddy.*" });
  const above = decodeRecord(last?.data ?? new Uint8Array()).inputs[0]?.above ?? [];
  return above.reduce((sum, edge, at) => sum + (at % 2 === 0 ? 1 - edge : edge), 0);
}

test("P1 P2 P3: killed four times in the middle of a stream, with positions done above the floor, every event has one effect, in its key's order", async () => {
  await using world = await startWorld({ "relay.ts": relay });
  let node = await world.start();
  const producing = world.produce(placed(0, 2_000));
  let above = 0;
  for (let done = 0, kills = 0; kills < 4; kills++) {
    await untilNoted(world, done + 100);
    await node.kill();
    done = await countMessages(world.nc, noted);
    assert.ok(done < 2_000, "the kill came too late");
    above += await completedAboveFloor(world);
    node = await world.start({ ready: false });
  }
  await using last = node;
  await producing;
  assert.deepEqual(countsOf(await world.settled(), name), [2_000, 2_000, 0, 0]);
  const log = await world.log();
  const effects = ofType(log, "com.acme.order.noted");
  assertOneEffectEach(ofType(log, "com.acme.order.placed"), effects);
  assertOrderPerSubject(effects);
  assert.ok(above > 0, "no kill came while something was done above the floor");
  assert.ok(last.output().includes("is running"));
});

test("P1 P2: stopped with SIGTERM in the middle it ends with 0 and stores what is in flight; the next start goes on from there", async () => {
  await using world = await startWorld({ "relay.ts": relay });
  {
    await using first = await world.start({ env: { EDDY_DRAIN: "50ms" } });
    await world.produce(placed(0, 600));
    await untilNoted(world, 100);
    assert.equal(await first.stop(), 0);
  }
  const between = await countMessages(world.nc, noted);
  assert.ok(between < 600, "the stop came too late");
  await using second = await world.start();
  await world.produce(placed(600, 700));
  assert.deepEqual(countsOf(await world.settled(), name), [700, 700, 0, 0]);
  const log = await world.log();
  const effects = ofType(log, "com.acme.order.noted");
  assertOneEffectEach(ofType(log, "com.acme.order.placed"), effects);
  assertOrderPerSubject(effects);
  assert.ok(!second.output().includes('"level":"error"'), second.output());
});
