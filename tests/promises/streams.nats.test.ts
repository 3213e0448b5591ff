// A projection that is fed from the home stream and from another one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import type { Reconciled } from "../../runtime/pipeline/index.ts";
import { decodeRecord } from "../../runtime/pipeline/ledger/record.ts";
import { readEntries } from "../faults/log.ts";
import { eddyJson, runEddy } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { addHub, hubRoot, hubStream, untilHubHas } from "../support/hub.ts";
import { supervise } from "../support/supervisor.ts";
import { countsOf, startWorld, type TestEvent, type World } from "../support/world.ts";

const type = "com.acme.stock.counted";
// Each event takes a moment, so that events of a key from both streams would meet where nothing kept them apart.
const stock = (more = "") => `
import { event, projection, Type } from "eddyline";
const Counted = event("${type}", Type.Object({ item: Type.String(), n: Type.Integer() }));
export const stock = projection("stock", {
  from: [Counted],
  streams: ["${hubStream}"],${more}
  state: Type.Object({ events: Type.Integer(), sum: Type.Integer() }),
  key: (e) => e.data.item,
  apply: (state, e) => ({ events: (state?.events ?? 0) + 1, sum: (state?.sum ?? 0) + e.data.n }),
});
`;

const items = 20;
const count = 3_000; // in each stream
const parts = 4; // a kill in each

const counted = (source: string, from: number, to: number): TestEvent[] =>
  Array.from({ length: to - from }, (_, i) => ({
    id: `e${from + i}`,
    source,
    type,
    subject: `item-${(from + i) % items}`,
    data: { item: `item-${(from + i) % items}`, n: from + i },
  }));

interface Stock {
  readonly events: number;
  readonly sum: number;
}

interface Letter {
  readonly reason: string;
  readonly origin: { readonly stream: string };
}

/** What `eddy reconcile` says. */
async function assertReconciled(world: World, events: number, letters: number): Promise<void> {
  const [row] = await eddyJson<Reconciled[]>(world.nats, "reconcile");
  assert.deepEqual([row?.events, row?.lag, row?.letters, row?.findings], [events, 0, letters, []]);
}

const entriesOf = (world: World) => readEntries(world.nc, "stock");

function fold(...all: readonly (readonly TestEvent[])[]): Map<string, Stock> {
  const states = new Map<string, Stock>();
  for (const { data } of all.flat()) {
    const { item, n } = data as { item: string; n: number };
    const { events, sum } = states.get(item) ?? { events: 0, sum: 0 };
    states.set(item, { events: events + 1, sum: sum + n });
  }
  return states;
}

/** Where its ledger stands, by stream. */
async function floorsOf(world: World): Promise<Record<string, number>> {
  const jsm = await jetstreamManager(world.nc);
  const last = await jsm.streams.getMessage("KV_stock", { last_by_subj: "cursor.stock" });
  const { inputs } = decodeRecord(last?.data ?? new Uint8Array());
  return Object.fromEntries(inputs.map(({ stream, floor }) => [stream, floor]));
}

const sum = (floors: Record<string, number>) =>
  Object.values(floors).reduce((all, floor) => all + floor, 0);

/** Waits until the entries are these. */
async function untilFolded(world: World, expected: ReadonlyMap<string, Stock>): Promise<void> {
  const same = async () => {
    assert.deepEqual(await entriesOf(world), expected);
    return true;
  };
  await eventually(same, { timeoutMs: 20_000, what: "that the entries are the fold of both logs" });
}

test("P1 P2: killed four times while both streams run, it has folded each event of both once, and keeps a position in each", async () => {
  await using world = await startWorld({ "stock.ts": stock() });
  await addHub(world.nc);
  const [home, hub] = [counted("/here", 0, count), counted("/hub", 0, count)];
  let node = await world.start();
  const produced: Promise<unknown>[] = [];
  for (let part = 0, done = 0; part < parts; part++) {
    const [from, to] = [(part * count) / parts, ((part + 1) * count) / parts];
    produced.push(
      world.produce(home.slice(from, to)),
      world.produceOn(hubRoot, hub.slice(from, to)),
    );
    const further = async () => sum(await floorsOf(world)) > done;
    await eventually(further, { timeoutMs: 20_000, what: `that it is further than ${done}` });
    await node.kill();
    done = sum(await floorsOf(world));
    node = await world.start({ ready: false });
  }
  await using last = node;
  await Promise.all(produced);
  // A producer's repeat in the other stream's own log is a duplicate there; the same id from elsewhere is none.
  await world.produceOn(hubRoot, hub.slice(0, 10));
  await untilHubHas(world.nc, count + 10);
  assert.deepEqual(countsOf(await world.settled(), "stock"), [2 * count + 10, 2 * count, 10, 0]);
  assert.deepEqual(await entriesOf(world), fold(home, hub));
  const floors = await floorsOf(world);
  assert.equal(floors[hubStream], count + 10);
  const [listed] = await eddyJson<{ positions: string[] }[]>(world.nats, "projection", "list");
  assert.deepEqual(listed?.positions, [`EVENTS:${floors.EVENTS}`, `${hubStream}:${count + 10}`]);
  assert.ok((floors.EVENTS ?? 0) >= count);
  assert.ok(last.output().includes("is running"));
  await assertReconciled(world, 2 * count + 10, 0);
});

test("P3: a stream that is added is read from its first event, one that is left out is not forgotten, and one that is not there says so", async () => {
  const plain = stock().replace(/streams: .*\n/, "\n");
  await using world = await startWorld({ "stock.ts": plain });
  await using node = await world.start();
  const [home, hub] = [counted("/here", 0, 100), counted("/hub", 0, 100)];
  await world.produce(home);
  await world.settled();
  world.write("stock.ts", stock());
  const said = () =>
    node.output().includes(`stream ${hubStream}, which it names in streams, is not there`);
  await eventually(said, { timeoutMs: 20_000, what: "that the missing stream is named" });
  await addHub(world.nc);
  await world.produceOn(hubRoot, hub);
  await untilFolded(world, fold(home, hub));
  world.write("stock.ts", plain);
  const more = counted("/here", 100, 200);
  await world.produce(more);
  await untilFolded(world, fold(home, hub, more));
  world.write("stock.ts", stock(' maxAge: "1h",'));
  const late = counted("/hub", 100, 150);
  await world.produceOn(hubRoot, late);
  await untilFolded(world, fold(home, hub, more, late));
});

test("P4: an event of each stream that ends the process is found and becomes a letter; all else is folded once", async () => {
  const source = stock().replace(
    "apply: (state, e) =>",
    "apply: (state, e) => e.data.n === 7 ? process.exit(1) :",
  );
  await using world = await startWorld({ "stock.ts": source });
  await addHub(world.nc);
  await using life = await supervise(world);
  const [home, hub] = [counted("/here", 0, 60), counted("/hub", 0, 60)];
  await Promise.all([world.produce(home), world.produceOn(hubRoot, hub)]);
  const letters = async () => await eddyJson<Letter[]>(world.nats, "dead", "list");
  const two = async () => (await letters()).length === 2;
  await eventually(two, { timeoutMs: 120_000, what: "that both are letters" });
  const named = (await letters()).map(({ origin, reason }) => `${origin.stream} ${reason}`);
  assert.deepEqual(named.sort(), ["EVENTS crash", "HUB crash"]);
  assert.deepEqual(countsOf(await world.settled(), "stock"), [120, 118, 0, 2]);
  const others = (all: readonly TestEvent[]) => all.filter(({ id }) => id !== "e7");
  assert.deepEqual(await entriesOf(world), fold(others(home), others(hub)));
  assert.ok(life.deaths <= 8, `${life.deaths} deaths`);
  await assertReconciled(world, 120, 2);
  // A letter of the other stream that somebody removed is named by that stream.
  const jsm = await jetstreamManager(world.nc);
  await jsm.streams.purge("DEAD", { filter: `dead.eddy.stock.${hubStream}.*` });
  const { out } = await runEddy(["reconcile", "--json"], { EDDY_NATS_SERVERS: world.nats.url });
  const [row] = JSON.parse(out) as Reconciled[];
  const found = row?.findings.map(({ what, stream, id }) => `${what} ${stream} ${id}`);
  assert.deepEqual(found, [`letter ${hubStream} e7`]);
});

test("P4: an event of one stream that fails holds its key back in both where it is asked for, and no other key", async () => {
  const source = stock(' ordered: true, retry: ["1s", "1s", "1s"],').replace(
    "apply: (state, e) =>",
    "apply: (state, e) => e.data.n === 7 && Date.now() - began < 1_500 ? fail() :",
  );
  const failing = `
const began = Date.now();
const fail = () => {
  throw new Error("not yet");
};`;
  await using world = await startWorld({ "stock.ts": source + failing });
  await addHub(world.nc);
  await using _node = await world.start();
  const [home, hub] = [counted("/here", 0, 200), counted("/hub", 0, 200)];
  await Promise.all([world.produce(home), world.produceOn(hubRoot, hub)]);
  await untilHubHas(world.nc, 200);
  assert.deepEqual(countsOf(await world.settled(), "stock"), [400, 400, 0, 0]);
  assert.deepEqual(await entriesOf(world), fold(home, hub));
});
