import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { HeldRow } from "../../runtime/pipeline/index.ts";
import { eddyJson, runEddy } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { assertOneEffectEach, assertOrderPerSubject, ofType } from "../support/log.ts";
import { hanging, type Supervisor, supervise } from "../support/supervisor.ts";
import { countsOf, startWorld, type World } from "../support/world.ts";

// `stock` meets an event that ends its process; `mail` reads the same events and does not mind.
const handlers = (kill: string) => `
import { event, on, projection, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer(), poison: Type.Boolean() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
const Mailed = event("com.acme.order.mailed", Type.Object({ n: Type.Integer() }));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const stock = on(Placed, { emits: [Noted], start: "first" }, async ({ data }, ctx) => {
  await sleep(Math.random() * 5);
  if (data.poison) { ${kill} }
  ctx.emit(Noted, { n: data.n });
});
export const mail = on(Placed, { emits: [Mailed], start: "first" }, ({ data }, ctx) => ctx.emit(Mailed, { n: data.n }));
`;

interface Letter {
  readonly letter: number;
  readonly handler: string;
  readonly reason: string;
  readonly key: string;
  readonly id: string | null;
  readonly error: { readonly name: string; readonly message: string };
}

const placed = (from: number, to: number, poison: readonly number[] = []) =>
  Array.from({ length: to - from }, (_, i) => ({
    id: `e${from + i}`,
    type: "com.acme.order.placed",
    subject: `order-${(from + i) % 10}`,
    data: { n: from + i, poison: poison.includes(from + i) },
  }));

async function letters(world: World): Promise<Letter[]> {
  return await eddyJson<Letter[]>(world.nats, "dead", "list");
}

async function untilLetters(world: World, count: number, life: Supervisor): Promise<Letter[]> {
  return await eventually(
    async () => {
      const found = await letters(world);
      if (found.length < count)
        throw new Error(`${found.length} letters after ${life.deaths} deaths`);
      return found;
    },
    {
      timeoutMs: 180_000,
      what: `that ${count} events are dead letters`,
    },
  );
}

/** All but the poison have their one effect, in the order of their key. */
async function assertTheRestIsDone(world: World, poison: string): Promise<void> {
  const log = await world.log();
  const causes = ofType(log, "com.acme.order.placed");
  const noted = ofType(log, "com.acme.order.noted");
  assertOneEffectEach(
    causes.filter(({ attributes }) => attributes.id !== poison),
    noted,
  );
  assertOrderPerSubject(noted);
  assertOneEffectEach(causes, ofType(log, "com.acme.order.mailed"));
}

const ways: readonly (readonly [string, string, Record<string, string>])[] = [
  ["process.exit", "process.exit(1);", {}],
  [
    "running out of memory",
    "const hoard: unknown[] = []; for (;;) hoard.push(new Array(100_000).fill(hoard.length));",
    { NODE_OPTIONS: "--max-old-space-size=96" },
  ],
  ["an endless loop", `console.log("${hanging}"); for (;;);`, {}],
];

for (const [name, kill, env] of ways) {
  test(`P4: an event that ends the process by ${name} is a dead letter after three deaths of its own; all else is handled once`, async () => {
    await using world = await startWorld({ "shop.ts": handlers(kill) });
    await using life = await supervise(world, env);
    await world.produce(placed(0, 40, [17]));
    const [letter, ...others] = await untilLetters(world, 1, life);
    assert.equal(others.length, 0);
    assert.deepEqual([letter?.handler, letter?.reason, letter?.id], ["shop.stock", "crash", "e17"]);
    assert.match(letter?.error.message ?? "", /the process ended 3 times while shop\.stock ran/);
    await world.produce(placed(40, 60));
    const rows = await world.settled();
    assert.deepEqual(countsOf(rows, "shop.stock"), [60, 59, 0, 1]);
    assert.deepEqual(countsOf(rows, "shop.mail"), [60, 60, 0, 0]);
    await assertTheRestIsDone(world, "e17");
    assert.equal(life.deaths, 4); // at the first one others were in flight as well
    assert.match(life.output(), /in flight when the runtime \w+ ended without a stop/);
  });
}

test("P1 P4: under a backlog of thousands it takes up to three more deaths to find the event among them", async () => {
  await using world = await startWorld({ "shop.ts": handlers("process.exit(1);") });
  await using first = await world.start();
  await first.stop();
  await world.produce(placed(0, 3_000, [1_234]));
  await using life = await supervise(world);
  const found = await untilLetters(world, 1, life);
  assert.deepEqual(
    found.map(({ handler, reason, id }) => [handler, reason, id]),
    [["shop.stock", "crash", "e1234"]],
  );
  const rows = await world.settled();
  assert.deepEqual(countsOf(rows, "shop.stock"), [3_000, 2_999, 0, 1]);
  assert.deepEqual(countsOf(rows, "shop.mail"), [3_000, 3_000, 0, 0]);
  await assertTheRestIsDone(world, "e1234");
  assert.ok(life.deaths >= 4 && life.deaths <= 6, `${life.deaths} deaths`);
});

test("P4: a retry that ends the process is a dead letter after three deaths behind its own marker, and so is its letter when it is given back", async () => {
  const relay = `
import { existsSync } from "node:fs";
import { event, on, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer(), poison: Type.Boolean() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
export const relay = on(Placed, { emits: [Noted], start: "first", retry: ["1s"] }, async ({ data }, ctx) => {
  if (data.poison && (ctx.attempt === 2 || existsSync(process.env.WORSE ?? ""))) process.exit(1);
  if (data.n < 10 && ctx.attempt === 1) throw new Error("not yet");
  ctx.emit(Noted, { n: data.n });
});`;
  await using world = await startWorld({ "relay.ts": relay });
  const worse = join(world.handlers, "../worse");
  await using life = await supervise(world, { WORSE: worse });
  await world.produce(placed(0, 30, [7]));
  const [letter] = await untilLetters(world, 1, life);
  assert.deepEqual([letter?.handler, letter?.reason, letter?.id], ["relay.relay", "crash", "e7"]);
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [30, 29, 0, 1]);
  assert.equal(life.deaths, 4); // the first one could have been any other's
  writeFileSync(worse, "");
  const server = { EDDY_NATS_SERVERS: world.nats.url };
  assert.equal((await runEddy(["dead", "replay", String(letter?.letter)], server)).code, 0);
  await eventually(
    async () => {
      const [next] = await letters(world);
      if (next?.letter === letter?.letter) throw new Error(`${life.deaths} deaths`);
      return next !== undefined;
    },
    { timeoutMs: 180_000, what: "that it is a letter again" },
  );
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [30, 29, 0, 1]);
  assert.equal(life.deaths, 8);
});

test("P2 P4: two handlers that each meet an event which ends the process get one letter each, and no other event does", async () => {
  const shop = `
import { event, on, projection, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer(), poison: Type.Boolean() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
export const orders = projection("orders", {
  from: [Placed], key: ({ data }) => String(data.n % 10),
  apply: (state, { data }) => { if (data.n === 5) process.exit(1); return { last: data.n }; },
});
export const relay = on(Placed, { emits: [Noted], start: "first" }, ({ data }, ctx) => {
  if (data.n === 25) process.exit(1);
  ctx.emit(Noted, { n: data.n });
});`;
  await using world = await startWorld({ "shop.ts": shop });
  await using life = await supervise(world);
  await world.produce(placed(0, 40));
  const found = await untilLetters(world, 2, life);
  assert.deepEqual(
    found.map(({ handler, reason, id }) => `${handler} ${reason} ${id}`).toSorted(),
    ["orders crash e5", "shop.relay crash e25"],
  );
  const rows = await world.settled();
  assert.deepEqual(countsOf(rows, "orders"), [40, 39, 0, 1]);
  assert.deepEqual(countsOf(rows, "shop.relay"), [40, 39, 0, 1]);
  assert.ok(life.deaths <= 8, `${life.deaths} deaths`);
});

test("P1 P2: killed again and again under load, without an event that is at fault, nothing becomes a dead letter", async () => {
  await using world = await startWorld({ "shop.ts": handlers("") });
  let node = await world.start();
  const producing = world.produce(placed(0, 4_000));
  for (let kills = 0; kills < 8; kills++) {
    // At any moment: while it starts, while suspects are tried, while it works.
    await new Promise((resolve) => setTimeout(resolve, 700 + 150 * kills));
    await node.kill();
    node = await world.start({ ready: false });
  }
  await using _ = node;
  await producing;
  const rows = await world.settled();
  assert.deepEqual(countsOf(rows, "shop.stock"), [4_000, 4_000, 0, 0]);
  assert.deepEqual(countsOf(rows, "shop.mail"), [4_000, 4_000, 0, 0]);
  assert.deepEqual(await letters(world), []);
});

test("P3 P4: an event that ends the process holds its key where the handler asks for it, and the key goes when its letter is discarded", async () => {
  const shop = `
import { event, projection, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer(), poison: Type.Boolean() }));
export const orders = projection("orders", {
  from: [Placed], key: ({ data }) => "tens-" + String(data.n % 10), ordered: true, onDead: "hold",
  apply: (state, { data }) => { if (data.poison) process.exit(1); return { last: data.n }; },
});`;
  await using world = await startWorld({ "shop.ts": shop });
  await using life = await supervise(world);
  await world.produce(placed(0, 40, [5]));
  const [letter] = await untilLetters(world, 1, life);
  assert.deepEqual([letter?.handler, letter?.reason, letter?.key], ["orders", "crash", "tens-5"]);
  const server = { EDDY_NATS_SERVERS: world.nats.url };
  await eventually(async () => {
    const [held] = await eddyJson<HeldRow[]>(world.nats, "lanes");
    return held?.key === "tens-5" && held.state === "dead" && held.parked === 3;
  });
  assert.equal((await runEddy(["dead", "discard", String(letter?.letter)], server)).code, 0);
  assert.deepEqual(countsOf(await world.settled(), "orders"), [40, 39, 0, 1]);
});
