import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, on, projection } from "../../runtime/authoring/index.ts";
import { type Broker, storeBatch } from "../../runtime/broker/index.ts";
import { type CloudEvent, encodeMessage, eventSubject, keyOf } from "../../runtime/events/index.ts";
import {
  listLetters,
  readHandlers,
  reconcile,
  replayLetter,
} from "../../runtime/pipeline/index.ts";
import { openProjectionReader } from "../../runtime/projections/index.ts";
import { eventually } from "../support/eventually.ts";
import { startNats } from "../support/nats.ts";
import {
  makeTestEvent,
  produce,
  startTestPipeline,
  type TestPipeline,
} from "../support/pipeline.ts";
import { foldState, readState } from "../support/state.ts";
import { startWorld, type World } from "../support/world.ts";

const Left = event("com.acme.customer.left", Type.Object({ customerId: Type.String() }), {
  carries: "state",
  key: "customerId",
  deletion: "always",
});
const Customer = Type.Object({ customerId: Type.String(), n: Type.Integer() });
const Changed = event("com.acme.customer.changed", Customer, {
  carries: "state",
  key: "customerId",
  deletion: { by: Left },
  stream: "STATE",
});
const builtIn = "state:com.acme.customer.changed";

/** The last state of each customer. */
function customers(name: string, start?: "first") {
  return projection(name, {
    from: [Changed, Left],
    ...(start === undefined ? {} : { start }),
    key: (e) => e.data.customerId,
    apply: (_, e) => (e.type === Left.type ? null : e.data),
  });
}

function changed(customerId: string, n: number, id = `${customerId}-${n}`): CloudEvent {
  return makeTestEvent(Changed.type, id, { customerId, n }, { subject: customerId });
}

function left(customerId: string): CloudEvent {
  return makeTestEvent(Left.type, `${customerId}-left`, { customerId }, { subject: customerId });
}

async function fill(broker: Broker, events: readonly CloudEvent[]): Promise<void> {
  for (let at = 0; at < events.length; at += 900) {
    const batch = events.slice(at, at + 900).map((e) => {
      return { natsSubject: eventSubject(e.type, keyOf(e)), ...encodeMessage(e) };
    });
    const { kind } = await storeBatch(broker.nc, batch, 20_000);
    assert.equal(kind, "stored");
  }
}

/** Updates of keys in turn, n rising. */
function updates(count: number, keys: number): CloudEvent[] {
  return Array.from({ length: count }, (_, n) => changed(`c${n % keys}`, n));
}

async function entriesOf({ broker }: TestPipeline, name: string): Promise<Map<string, unknown>> {
  const reader = await openProjectionReader(broker.nc, broker);
  const page = await reader.keys(name, { limit: 10_000 });
  const keys = page?.keys ?? [];
  const read = keys.map(async (key): Promise<[string, unknown]> => {
    return [key, (await reader.get(name, key))?.value];
  });
  return new Map((await Promise.all(read)).sort());
}

test("a node that joins reads one message a key and then the log behind it, with the entries of who has read it all; also where the head of the log is gone", async () => {
  await using nats = await startNats({ sync: "default" });
  await using p = await startTestPipeline(nats);
  const { broker } = p;
  await fill(broker, updates(20_000, 200));
  await produce(broker, [
    left("c7"),
    left("c8"),
    changed("c8", 1, "back"),
    changed("c9", 3, "c9-9"),
  ]); // the last one repeats
  await p.run({ all: customers("all", "first") });
  const rows = await p.settled();
  assert.deepEqual([rows.get(builtIn)?.kind, rows.get(builtIn)?.delivered], ["state", 20_004]);
  const nc = await nats.connect();
  const folded = await foldState(nc, { type: Changed.type, by: Left.type, key: "customerId" });
  assert.deepEqual(new Map([...(await readState(nc))].sort()), new Map([...folded].sort()));
  assert.equal(folded.size, 200);

  const { state } = await broker.jsm.streams.info("EVENTS");
  await broker.jsm.streams.purge("EVENTS", { seq: state.last_seq }); // all but the last message
  await p.run({ all: customers("all", "first"), joined: customers("joined") });
  await produce(broker, [changed("c1", 30_000), left("c2"), changed("new", 1)]);
  const after = await p.settled();
  assert.equal(after.get("joined")?.delivered, 203, "200 keys, and three events behind them");
  assert.deepEqual(await entriesOf(p, "joined"), await entriesOf(p, "all"));
  assert.equal((await entriesOf(p, "joined")).has("c7"), false);

  const found = (await reconcile(broker, [], () => {})).map(({ name, findings, entries }) => ({
    ...{ name, findings, entries },
  }));
  assert.deepEqual(found, [
    { name: "all", findings: [], entries: 201 }, // a bucket's tombstones count
    { name: "joined", findings: [], entries: 201 },
    { name: builtIn, findings: [], entries: 201 },
  ]);
});

test("a projection that comes back behind the head of the log is completed from the compacted home, and entries that nobody deleted before its eyes are gone", async () => {
  await using nats = await startNats({ sync: "default" });
  await using p = await startTestPipeline(nats, { tombstoneMs: 1_000 });
  const { broker } = p;
  await fill(broker, updates(400, 40));
  await p.run({ late: customers("late"), note: on(Changed, () => {}) });
  await p.settled();
  await p.run({ note: on(Changed, () => {}) });
  await produce(broker, [left("c1"), changed("c2", 1_000)]);
  const nc = await nats.connect();
  await eventually(
    async () => {
      const state = await readState(nc);
      const { data } = state.get("com.acme.customer.changed.c2") ?? {};
      return Reflect.get(Object(data), "n") === 1_000 && !state.has("com.acme.customer.changed.c1");
    },
    { timeoutMs: 10_000, what: "that the tombstone is gone" },
  );
  const { state } = await broker.jsm.streams.info("EVENTS");
  await broker.jsm.streams.purge("EVENTS", { seq: state.last_seq + 1 });
  await produce(broker, [changed("c3", 2_000)]);
  await p.run({ late: customers("late"), note: on(Changed, () => {}) });
  await p.settled();
  const entries = await entriesOf(p, "late");
  assert.equal(entries.size, 39);
  assert.deepEqual(
    [entries.get("c2"), entries.get("c3")],
    [
      { customerId: "c2", n: 1_000 },
      { customerId: "c3", n: 2_000 },
    ],
  );
});

test("several types of one entity are folded in the order of the log, also where one of them has long been silent", async () => {
  await using nats = await startNats({ sync: "default" });
  await using p = await startTestPipeline(nats);
  const part = (name: string) =>
    event(`com.acme.parts.${name}`, Type.Object({ id: Type.String(), n: Type.Integer() }), {
      carries: "state",
      key: "id",
      deletion: "never",
      stream: "STATE",
    });
  const types = [part("a"), part("b"), part("c")];
  const parts = (name: string, start?: "first") =>
    projection(name, {
      from: types,
      state: Type.Record(Type.String(), Type.Unknown()),
      ...(start === undefined ? {} : { start }),
      key: (e) => e.data.id,
      apply: (state, e) => ({ ...state, [e.type]: e.data.n, last: e.type }),
    });
  const said = (type: string, id: number, n: number) =>
    makeTestEvent(type, `${type}-${n}`, { id: `k${id}`, n }, { subject: `k${id}` });
  const early = Array.from({ length: 90 }, (_, n) =>
    said(types[n % 3]?.type ?? "", (n * 7) % 20, n),
  );
  const later = Array.from({ length: 3_000 }, (_, n) => {
    return said(types[(n * 5) % 2]?.type ?? "", (n * 11) % 20, 1_000 + n);
  });
  const all = parts("all", "first");
  const level = async (name: string) =>
    assert.deepEqual(await entriesOf(p, name), await entriesOf(p, "all"), name);
  await fill(p.broker, [...early, ...later]);
  await p.run({ all });
  await p.settled();
  const still = parts("still");
  await p.run({ all, still });
  await p.settled();
  await level("still");

  const [, b] = types;
  const note = on(b as (typeof types)[number], () => {});
  await p.run({ note }); // nobody keeps the others meanwhile
  await fill(
    p.broker,
    later.slice(0, 300).map((e) => ({ ...e, id: `more-${e.id}` })),
  );
  await eventually(async () => {
    const rows = await readHandlers(p.broker);
    return rows.find(({ name }) => name === "state:com.acme.parts.b")?.lag === 0;
  });
  await p.run({ behind: parts("behind"), all, still, note });
  await p.settled();
  await level("behind");

  const producing = fill(
    p.broker,
    later.map((e) => ({ ...e, id: `again-${e.id}` })),
  );
  await p.run({ all, still, note, behind: parts("behind"), joined: parts("joined") });
  await producing;
  const rows = await p.settled();
  await level("joined");
  assert.ok((rows.get("joined")?.delivered ?? 0) < 3_200, JSON.stringify(rows.get("joined")));
});

test("an older event that comes again late takes no newer one's place, nor that of an entity whose tombstone is gone", async () => {
  await using nats = await startNats({ sync: "default" });
  await using p = await startTestPipeline(nats, { tombstoneMs: 1_000 });
  const { broker } = p;
  const nc = await nats.connect();
  const strict = event(
    Changed.type,
    Type.Object({ customerId: Type.String(), n: Type.Integer({ maximum: 10 }) }),
    Changed.options as { carries: "state"; key: "customerId"; stream: "STATE" },
  );
  await p.run({ note: on(strict, () => {}) });
  await produce(broker, [changed("c1", 11), changed("c2", 12)]); // no letter is for the note: it starts now
  await produce(broker, [changed("c1", 1), left("c2")]);
  await p.settled();
  assert.equal((await readState(nc)).get("com.acme.customer.changed.c1")?.seq !== undefined, true);
  await eventually(async () => !(await readState(nc)).has("com.acme.customer.changed.c2"), {
    timeoutMs: 10_000,
    what: "that the tombstone is gone",
  });
  await p.run({ note: on(Changed, () => {}) }, "v2");
  const letters = (await listLetters(broker)).filter(({ handler }) => handler === builtIn);
  assert.equal(letters.length, 2);
  for (const { letter } of letters) await replayLetter(broker, letter);
  await eventually(async () => (await p.settled()).get(builtIn)?.dead === 0, { timeoutMs: 10_000 });
  const state = await readState(nc);
  assert.deepEqual(state.get("com.acme.customer.changed.c1")?.data, { customerId: "c1", n: 1 });
  assert.equal(state.has("com.acme.customer.changed.c2"), false, "c2 is alive again");
});

test("a deleted entity is seen as deleted for its retention and does not come back, whenever the server is killed", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { tombstoneMs: 3_000 });
  const subject = "com.acme.customer.changed.c1";
  await p.run({ note: on([Changed, Left], () => {}) });
  for (let n = 0; n < 3; n++) await produce(p.broker, [changed("c1", n), changed("c2", n)]);
  await p.settled();
  await produce(p.broker, [left("c1")]);
  await p.settled();
  const lookAgain = async () => {
    await nats.kill();
    await nats.restart();
    const nc = await nats.connect();
    return await eventually(async () => await readState(nc), { timeoutMs: 10_000 });
  };
  assert.equal((await lookAgain()).get(subject)?.deleted, true, "before its time");
  const nc = await nats.connect();
  await eventually(async () => !(await readState(nc)).has(subject), {
    timeoutMs: 10_000,
    what: "that the tombstone is gone",
  });
  const state = await lookAgain();
  assert.equal(state.has(subject), false, `it came back: ${JSON.stringify(state.get(subject))}`);
  assert.deepEqual(state.get("com.acme.customer.changed.c2")?.data, { customerId: "c2", n: 2 });
});

const source = `
import { event, projection, Type } from "eddyline";
const Left = event("com.acme.customer.left", Type.Object({ customerId: Type.String() }), {
  carries: "state", key: "customerId", deletion: "always",
});
const Changed = event("com.acme.customer.changed", Type.Object({ customerId: Type.String(), n: Type.Integer() }), {
  carries: "state", key: "customerId", deletion: { by: Left }, stream: "STATE",
});
`;
const all = `${source}
export const all = projection("all", {
  from: [Changed, Left], start: "first",
  key: (e) => e.data.customerId, apply: (_, e) => (e.type === Left.type ? null : e.data),
});
`;
// Dies at its 30th fold, once: what an earlier life has stored says so.
const joined = (marker: string) => `${source}
import { existsSync, writeFileSync } from "node:fs";
let folds = 0;
export const joined = projection("joined", {
  from: [Changed, Left],
  key: (e) => e.data.customerId,
  apply: (state, e) => {
    if (++folds === 30 && !existsSync(${JSON.stringify(marker)})) {
      writeFileSync(${JSON.stringify(marker)}, "");
      process.kill(process.pid, "SIGKILL");
    }
    return e.type === Left.type ? null : { ...e.data, folds: (state?.folds ?? 0) + 1 };
  },
});
`;

async function untilLevel(world: World): Promise<void> {
  await world.settled();
  const state = { type: Changed.type, by: Left.type, key: "customerId" };
  const [held, folded] = await Promise.all([readState(world.nc), foldState(world.nc, state)]);
  assert.deepEqual(new Map([...held].sort()), new Map([...folded].sort()));
}

test("two instances, of which one is killed and one stopped in the middle: the compacted home is what the log comes to; and a projection that dies while it joins begins anew", async () => {
  await using world = await startWorld({ "all.ts": all });
  const produced = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => {
      const [n, customerId] = [from + i, `c${(from + i) % 97}`];
      const isLeft = n % 31 === 0;
      const data = isLeft ? { customerId } : { customerId, n };
      return { id: `e${n}`, type: isLeft ? Left.type : Changed.type, subject: customerId, data };
    });
  const first = await world.start();
  await using second = await world.start();
  const producing = world.produce(produced(0, 3_000));
  await eventually(async () => (await readState(world.nc)).size > 20, { timeoutMs: 20_000 });
  await first.kill();
  await producing;
  await untilLevel(world);
  assert.equal(await second.stop(), 0);

  world.write("joined.ts", joined(`${world.handlers}/../died`));
  const dying = await world.start({ ready: false });
  await dying.ended;
  await using last = await world.start();
  await world.produce(produced(3_000, 3_100));
  await untilLevel(world);
  const rows = await world.settled();
  assert.equal(rows.get("joined")?.dead, 0, last.output());
  const response = await fetch(`${last.url}/projections/joined/c1`);
  const { folds } = (await response.json()) as { folds: number };
  assert.ok(
    folds <= 3,
    `c1 was folded ${folds} times: what the dead one had stored was folded into`,
  );
});
