import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eddyJson, runEddy } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import {
  assertOneEffectEach,
  assertOrderPerSubject,
  countMessages,
  ofType,
} from "../support/log.ts";
import { supervise } from "../support/supervisor.ts";
import { countsOf, startWorld } from "../support/world.ts";

const declarations = `
import { event, on, Permanent, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
`;
// Each seventh event fails once, each fourth takes a while: kills come while keys are held, parked, drained and free.
const relay = `${declarations}
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const relay = on(Placed, { emits: [Noted], start: "first", ordered: true, retry: Array(30).fill("20ms") },
  async ({ data }, ctx) => {
    ctx.emit(Noted, { n: data.n });
    if (data.n % 4 === 0) await sleep(Math.random() * 20);
    if (data.n % 7 === 0 && ctx.attempt === 1) throw new Error("not yet");
  });
`;
const placed = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    id: `e${from + i}`,
    type: "com.acme.order.placed",
    subject: `order-${(from + i) % 30}`,
    data: { n: from + i },
  }));
const noted = "events.com.acme.order.noted.*";

test("P1 P2 P3: killed again and again while keys are held, every event has one effect, in its key's order", async () => {
  await using world = await startWorld({ "relay.ts": relay });
  const total = 600;
  const kills = 5;
  let node = await world.start();
  await world.produce(placed(0, total));
  let held = 0;
  for (let round = 0, done = 0; round < kills; round++) {
    await eventually(async () => (await countMessages(world.nc, noted)) >= done + 40, {
      timeoutMs: 30_000,
      what: `that round ${round} adds some`,
    });
    await node.kill();
    done = await countMessages(world.nc, noted);
    assert.ok(done < total, "the kill came too late");
    held += await countMessages(world.nc, "parked.>", "RETRY");
    node = await world.start({ ready: false });
  }
  await using last = node;
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [total, total, 0, 0]);
  assert.ok(held > 0, "no kill came while something was parked");
  const log = await world.log();
  const effects = ofType(log, "com.acme.order.noted");
  assertOneEffectEach(ofType(log, "com.acme.order.placed"), effects);
  assertOrderPerSubject(effects);
  await eventually(async () => (await countMessages(world.nc, ">", "RETRY")) === 0);
  assert.deepEqual(await eddyJson(world.nats, "lanes"), []);
  assert.equal((await runEddy(["reconcile"], { EDDY_NATS_SERVERS: world.nats.url })).code, 0);
  assert.ok(!last.output().includes('"level":"error"'), last.output());
});

test("P3: held keys outlive the node; an operator sees them and lets them go while nothing runs", async () => {
  const gate = (go: string) => `${declarations}
import { existsSync } from "node:fs";
export const relay = on(Placed, { emits: [Noted], start: "first", ordered: true, onDead: "hold" }, ({ data }, ctx) => {
  if (data.n < 3 && !existsSync(${JSON.stringify(go)})) throw new Permanent("not this one");
  ctx.emit(Noted, { n: data.n });
});`;
  await using world = await startWorld({});
  const go = join(world.handlers, "../go");
  world.write("relay.ts", gate(go));
  const node = await world.start();
  const events = placed(0, 12).map((event) => ({ ...event, subject: `order-${event.data.n % 3}` }));
  await world.produce(events);
  await eventually(async () => (await countMessages(world.nc, "parked.>", "RETRY")) === 9);
  await node.kill();

  interface Item {
    readonly key: string;
    readonly state: string;
    readonly id: string;
    readonly letter: number;
    readonly parked: number;
  }
  const rows = await eddyJson<Item[]>(world.nats, "lanes");
  assert.deepEqual(
    rows.map(({ key, state, id, parked }) => [key, state, id, parked]).toSorted(),
    [0, 1, 2].map((n) => [`order-${n}`, "dead", `e${n}`, 3]),
  );
  assert.deepEqual(await eddyJson<Item[]>(world.nats, "lanes", "nobody"), []);
  const eddy = (...args: string[]) => runEddy(args, { EDDY_NATS_SERVERS: world.nats.url });
  assert.match((await eddy("lanes")).out, /relay\.relay +order-0 +dead, letter \d+ +3 /);
  assert.equal((await eddy("lanes", "release", "relay.relay", "order-0")).code, 0);
  assert.equal((await eddy("lanes", "release", "relay.relay", "order-9")).code, 3);
  const letter = (key: string) => String(rows.find((row) => row.key === key)?.letter);
  assert.equal((await eddy("dead", "discard", letter("order-1"))).code, 0);
  writeFileSync(go, "");
  assert.equal((await eddy("dead", "replay", letter("order-2"))).code, 0);

  await using _ = await world.start();
  await eventually(async () => (await countMessages(world.nc, noted)) === 10);
  await world.settled();
  assert.deepEqual(await eddyJson(world.nats, "lanes"), []);
  const effects = ofType(await world.log(), "com.acme.order.noted");
  assertOrderPerSubject(effects);
  const numbers = effects.map(({ data }) => Number(Reflect.get(Object(data), "n")));
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  );
});

test("P3 P4: a parked event that ends the process is found, becomes a dead letter, and what is behind it follows", async () => {
  const relay = `${declarations}
export const relay = on(Placed, { emits: [Noted], start: "first", ordered: true, retry: ["1s"] }, ({ data }, ctx) => {
  if (data.n === 0 && ctx.attempt === 1) throw new Error("not yet");
  if (data.n === 3) process.exit(1);
  ctx.emit(Noted, { n: data.n });
});`;
  await using world = await startWorld({ "relay.ts": relay });
  await using life = await supervise(world);
  await world.produce(placed(0, 6).map((event) => ({ ...event, subject: "order" })));
  const letters = await eventually(
    async () => {
      const found = await eddyJson<{ id: string; reason: string }[]>(world.nats, "dead", "list");
      if (found.length === 0) throw new Error(`no letter after ${life.deaths} deaths`);
      return found;
    },
    { timeoutMs: 90_000, what: "that the event becomes a dead letter" },
  );
  assert.deepEqual(
    letters.map(({ id, reason }) => [id, reason]),
    [["e3", "crash"]],
  );
  assert.equal(life.deaths, 4); // one of those that were marked with it, and three of its own
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [6, 5, 0, 1]);
  const effects = ofType(await world.log(), "com.acme.order.noted");
  assert.deepEqual(
    effects.map(({ data }) => Reflect.get(Object(data), "n")),
    [0, 1, 2, 4, 5],
  );
  assert.deepEqual(await eddyJson(world.nats, "lanes"), []);
});
