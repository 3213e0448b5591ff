// A rebuild under load, and one that is killed. In full size: REBUILD_EVENTS=200000 node --import tsx tests/run.ts promises/rebuild
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type Broker, connectBroker, readAll, storeBatch } from "../../runtime/broker/index.ts";
import { encodeMessage, eventSubject } from "../../runtime/events/index.ts";
import { openProjectionReader, type ProjectionReader } from "../../runtime/projections/index.ts";
import { runEddy } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { makeTestEvent } from "../support/pipeline.ts";
import { startWorld, type World } from "../support/world.ts";

const events = Number(process.env.REBUILD_EVENTS ?? 6_000);
const keys = events / 2;
const type = "com.acme.part.counted";

/** Every entry says which version has folded it: no reader may see version 1 after version 2. */
const view = (version: number, options = "") => `
import { event, projection, Type } from "eddyline";
const Counted = event("${type}", Type.Object({ n: Type.Integer() }));
export const view = projection("view", {
  from: [Counted],
  key: (e) => e.subject ?? "",
  state: Type.Object({ count: Type.Integer(), sum: Type.Integer(), version: Type.Literal(${version}) }),
  ${options}
  apply: (state, { data }) => ({ count: (state?.count ?? 0) + 1, sum: (state?.sum ?? 0) + data.n, version: ${version} }),
});
`;
const auto = 'rebuild: "auto",';

interface Entry {
  readonly count: number;
  readonly sum: number;
  readonly version: number;
}

interface Tools extends AsyncDisposable {
  readonly broker: Broker;
  readonly reader: ProjectionReader;
}

async function toolsOf(world: World): Promise<Tools> {
  const names = { app: "eddy", home: "EVENTS" };
  const options = { servers: [world.nats.url], name: "test", timeoutMs: 10_000 };
  const broker = await connectBroker(options, names);
  const reader = await openProjectionReader(broker.nc, broker);
  return { broker, reader, [Symbol.asyncDispose]: () => broker.close() };
}

async function store({ nc }: Broker, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 900) {
    const size = Math.min(900, to - at);
    const batch = Array.from({ length: size }, (_, n) => eventAt(at + n));
    assert.equal((await storeBatch(nc, batch, 30_000)).kind, "stored");
  }
}

function eventAt(n: number) {
  const event = makeTestEvent(type, `e${n}`, { n }, { subject: `k${n % keys}` });
  return { natsSubject: eventSubject(type, `k${n % keys}`), ...encodeMessage(event) };
}

/** The fold that the view is to be, written a second time on purpose. */
async function foldOfLog(broker: Broker, version: number): Promise<Map<string, Entry>> {
  const found = new Map<string, Entry>();
  await readAll(broker, "EVENTS", `events.${type}.*`, ({ subject, data }) => {
    const key = subject.slice(subject.lastIndexOf(".") + 1);
    const { n } = JSON.parse(new TextDecoder().decode(data));
    const { count, sum } = found.get(key) ?? { count: 0, sum: 0 };
    found.set(key, { count: count + 1, sum: sum + n, version });
  });
  return found;
}

/** Also where a large backlog takes longer than what settles in other tests. */
async function folded(world: World, { jsm }: Broker): Promise<void> {
  const nothingLeft = async () => {
    const { num_pending, num_ack_pending } = await jsm.consumers.info("EVENTS", "eddy==view");
    return num_pending + num_ack_pending === 0;
  };
  await eventually(nothingLeft, { timeoutMs: 150_000, what: "that all is folded" });
  await world.settled();
}

async function entriesInPlace(broker: Broker): Promise<Map<string, Entry>> {
  const found = new Map<string, Entry>();
  await readAll(broker, "KV_view", "$KV.view.>", ({ subject, data }) => {
    found.set(subject.slice("$KV.view.".length), JSON.parse(new TextDecoder().decode(data)));
  });
  return found;
}

async function besideOf(broker: Broker): Promise<string[]> {
  const { state } = await broker.jsm.streams.info("KV_view", { subjects_filter: "cursor.view.>" });
  return Object.keys(state.subjects ?? {}).filter((subject) => subject !== "cursor.view.rebuild");
}

async function markerKind(broker: Broker): Promise<string | undefined> {
  const last_by_subj = "cursor.view.rebuild";
  const found = await broker.jsm.streams.getMessage("KV_view", { last_by_subj });
  return found?.json<{ kind: string }>().kind;
}

const someKey = () => `k${Math.floor(Math.random() * keys)}`;

/** Reads entries one after the other: each is there, none goes back, and no old one comes after a new one. */
async function readOn(read: (key: string) => Promise<Entry | undefined>, going: () => boolean) {
  let version = 0;
  let reads = 0;
  for (; going(); reads++) {
    const key = someKey();
    const entry = await read(key);
    assert.ok(entry, `a gap: ${key}`);
    assert.ok(
      entry.version >= version,
      `${key} is of version ${entry.version} after one of ${version}`,
    );
    version = entry.version;
  }
  return { version, reads };
}

async function listOn(reader: ProjectionReader, going: () => boolean): Promise<number> {
  let lists = 0;
  for (; going(); lists++) {
    const page = await reader.keys("view", { limit: keys * 2 });
    assert.equal(page?.keys.length, keys);
    await pause(20); // the pace
  }
  return lists;
}

/** Every change is one, and revisions rise. */
async function watchOn(reader: ProjectionReader, signal: AbortSignal): Promise<number> {
  const last = new Map<string, string>();
  let before = 0;
  let changes = 0;
  for await (const { key, value, revision } of await reader.watch("view", { signal })) {
    assert.ok(revision > before, "revisions rise");
    before = revision;
    const text = JSON.stringify(value);
    assert.notEqual(text, last.get(key), `${key} was told again`);
    last.set(key, text);
    changes++;
  }
  return changes;
}

test("a rebuild under load: readers see no gap and no half state, watchers true changes only, and the end is a fold of the log", async () => {
  await using world = await startWorld({ "view.ts": view(1, auto) });
  await using tools = await toolsOf(world);
  const { broker, reader } = tools;
  await using node = await world.start();
  await store(broker, 0, events);
  await folded(world, broker);

  let going = true;
  const isGoing = () => going;
  const producing = (async () => {
    let n = events;
    for (; going; n += 50) {
      await store(broker, n, n + 50);
      await pause(50); // 1,000 a second at most
    }
    return n;
  })();
  const stop = new AbortController();
  const overHttp = async (key: string) =>
    (await (await fetch(`${node.url}/projections/view/${key}`)).json()) as Entry;
  const direct = async (key: string) => (await reader.get("view", key))?.value as Entry | undefined;
  const own = await openProjectionReader(broker.nc, broker);
  const other = async (key: string) => (await own.get("view", key))?.value as Entry | undefined;
  const readers = [direct, other, overHttp].map((read) => readOn(read, isGoing));
  const listing = listOn(reader, isGoing);
  const watching = watchOn(reader, stop.signal);
  const all = Promise.all([...readers, listing, watching]);
  all.catch(() => {
    going = false;
  });

  world.write("view.ts", view(2, auto));
  const rebuilt = eventually(
    async () => {
      const kind = await markerKind(broker);
      if (kind !== "over" || (await direct("k0"))?.version !== 2) throw new Error(`at ${kind}`);
      return true;
    },
    { timeoutMs: 60_000, what: "that the new version has taken over" },
  );
  await Promise.race([rebuilt, all]);
  await pause(500); // some more of the new version
  going = false;
  const produced = await producing;
  await folded(world, broker);
  const ends = await Promise.all(readers);
  for (const { version } of ends) assert.equal(version, 2);
  const reads = ends.reduce((sum, { reads }) => sum + reads, 0);
  const lists = await listing;
  stop.abort();
  const changes = await watching;
  assert.ok(reads > 12 && lists > 0, `${reads} reads, ${lists} lists`);
  assert.ok(changes >= 2 * keys, `${changes} changes of ${keys} keys`);
  assert.ok(produced > events, `${produced} events`);
  assert.deepEqual(await entriesInPlace(broker), await foldOfLog(broker, 2));
  assert.deepEqual(await besideOf(broker), []);
});

const stages = ["soon", "writing", "switched"] as const;

test("a rebuild that is killed leaves one version whole and nothing behind, and can be asked again", async (t) => {
  const options = { concurrency: true };
  await t.test("side by side", options, async (t) => {
    await Promise.all(stages.map((stage) => t.test(`killed at "${stage}"`, () => killedAt(stage))));
  });
});

async function killedAt(stage: (typeof stages)[number]): Promise<void> {
  await using world = await startWorld({ "view.ts": view(1, auto) });
  await using tools = await toolsOf(world);
  const { broker } = tools;
  const node = await world.start();
  await store(broker, 0, events);
  await folded(world, broker);
  world.write("view.ts", view(2, auto));
  await eventually(async () => (await markerKind(broker)) === stage, { timeoutMs: 30_000 });
  node.signal("SIGSTOP");
  const now = await markerKind(broker);
  await node.kill();

  const whole = now === "switched" || now === "over" ? 2 : 1;
  const reader = await openProjectionReader(broker.nc, broker);
  for (let at = 0; at < 500; at++) {
    const { value } = (await reader.get("view", someKey())) ?? {};
    assert.equal((value as Entry).version, whole);
  }
  world.write("view.ts", view(whole, auto)); // without a reason for another rebuild
  const again = await world.start();
  await world.settled();
  await eventually(
    async () =>
      assert.deepEqual(await entriesInPlace(broker), await foldOfLog(broker, whole)) ?? true,
  );
  assert.deepEqual(await besideOf(broker), []);
  await again.stop();
  if (stage !== "soon") return;

  world.write("view.ts", view(3));
  const args = ["projection", "rebuild", "view", "--handlers", world.handlers, "--json"];
  const { code, out, err } = await runEddy(args, { EDDY_NATS_SERVERS: world.nats.url });
  assert.equal(code, 0, err);
  assert.equal(JSON.parse(out).changed, keys);
  assert.deepEqual(await entriesInPlace(broker), await foldOfLog(broker, 3));
}

test("a projection whose functions run in a thread of their own is rebuilt there", async () => {
  await using world = await startWorld({ "view.ts": view(1, auto) });
  await using tools = await toolsOf(world);
  const { broker } = tools;
  const env = { EDDY_FOLDERS: "{view.ts: {isolation: thread, memory: 64MiB}}" };
  await using _node = await world.start({ env });
  await store(broker, 0, 500);
  await world.settled();
  world.write("view.ts", view(2, auto));
  const isNew = async () => {
    assert.deepEqual(await entriesInPlace(broker), await foldOfLog(broker, 2));
    return true;
  };
  await eventually(isNew, { timeoutMs: 20_000 });
});
