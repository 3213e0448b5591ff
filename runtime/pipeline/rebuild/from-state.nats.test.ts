import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { runEddy } from "../../../tests/support/cli.ts";
import { eventually } from "../../../tests/support/eventually.ts";
import { startNats } from "../../../tests/support/nats.ts";
import {
  makeTestEvent,
  produce,
  startTestPipeline,
  type TestPipeline,
} from "../../../tests/support/pipeline.ts";
import { event, on, projection } from "../../authoring/index.ts";
import { type Broker, readAll, readMessage } from "../../broker/index.ts";
import { projectionPlace } from "../ledger/place.ts";
import { decodeRecord, type InputRecord } from "../ledger/record.ts";
import { holdingOf } from "../log/beginning.ts";
import { readHandlers } from "../status.ts";
import { beginningOf } from "./beginning.ts";
import { createPast } from "./past.ts";

const Closed = event(
  "com.acme.site.closed",
  Type.Object({ site: Type.String(), n: Type.Integer() }),
  {
    carries: "state",
    key: "site",
    deletion: "always",
  },
);
const Changed = event(
  "com.acme.site.changed",
  Type.Object({ site: Type.String(), n: Type.Integer() }),
  {
    carries: "state",
    key: "site",
    deletion: { by: Closed },
    stream: "STATE",
  },
);

const State = Type.Object({
  n: Type.Integer(),
  by: Type.Integer(), // the version that has folded the last event
  closed: Type.Boolean(),
  again: Type.Boolean(), // an event was folded twice, or behind a later one
});

function sites(name: string, version: number, { auto = false } = {}) {
  return projection(name, {
    from: [Changed, Closed],
    key: (e) => e.data.site,
    ...(auto ? { rebuild: "auto" as const } : {}),
    state: State,
    indexes: { [`v${version}`]: () => "x" }, // a version has a shape of its own
    apply: (state, { type, data: { n } }) => ({
      ...{ n, by: version, closed: type === Closed.type },
      again: state !== undefined && (state.again || state.n >= n),
    }),
  });
}

const changed = (site: string, n: number) =>
  makeTestEvent(Changed.type, `${site}-${n}`, { site, n }, { subject: site });
const closed = (site: string, n: number) =>
  makeTestEvent(Closed.type, `${site}-${n}`, { site, n }, { subject: site });

/** So many updates of so many sites in turn, n rising. */
const updates = (from: number, to: number, keys: number) =>
  Array.from({ length: to - from }, (_, i) => changed(`s${(from + i) % keys}`, from + i));

interface Site {
  readonly n: number;
  readonly by: number;
  readonly closed: boolean;
  readonly again: boolean;
}

async function entriesOf({ broker }: TestPipeline, name: string): Promise<Map<string, Site>> {
  const found = new Map<string, Site>();
  await readAll(broker, `KV_${name}`, `$KV.${name}.>`, ({ subject, data }) => {
    found.set(subject.slice(`$KV.${name}.`.length), JSON.parse(new TextDecoder().decode(data)));
  });
  return new Map([...found].sort());
}

/** Cuts all that the projection has completed. */
async function cutHead({ broker }: TestPipeline): Promise<void> {
  const last = await readMessage(broker.nc, "KV_sites", { last_by_subj: "cursor.sites" });
  const [input] = decodeRecord(last?.data ?? new Uint8Array()).inputs;
  await broker.jsm.streams.purge("EVENTS", { seq: (input?.floor ?? 0) + 1 });
}

test("where the head is gone a rebuild begins with the compacted home as a new projection does, also under load; entries that it knows nothing of stay", async () => {
  await using nats = await startNats({ sync: "default" });
  await using p = await startTestPipeline(nats, { tombstoneMs: 1 });
  await p.run({ sites: sites("sites", 1) });
  await produce(p.broker, [...updates(0, 400, 40), closed("s7", 500)]);
  await p.settled();
  // As if it had last changed before its type was kept there.
  await p.broker.jsm.streams.purge("STATE", { filter: `state.${Changed.type}.s9` });
  await cutHead(p);
  await produce(p.broker, updates(600, 604, 40));
  await p.settled();

  await p.run({ sites: sites("sites", 2) });
  const load = produce(p.broker, updates(1_000, 3_000, 5));
  const rebuilt = await p.pipeline.rebuild("sites", {});
  await load;
  await p.settled();
  assert.ok(
    (rebuilt.compacted ?? 0) <= 39 && (rebuilt.compacted ?? 0) >= 34,
    `${rebuilt.compacted}`,
  );
  const entries = await entriesOf(p, "sites");
  assert.deepEqual(entries.get("s9"), { n: 369, by: 1, closed: false, again: false });
  assert.deepEqual(entries.get("s7"), { n: 500, by: 2, closed: true, again: false });
  await p.run({ sites: sites("sites", 2), joined: sites("joined", 2) });
  await p.settled();
  const joined = await entriesOf(p, "joined");
  assert.equal(joined.size, 38);
  for (const [site, entry] of joined) assert.deepEqual(entries.get(site), entry, site);
  assert.equal(entries.size, 40);

  const env = { EDDY_NATS_SERVERS: nats.url, EDDY_APP: "test" };
  const { out } = await runEddy(["projection", "rebuild", "sites"], env);
  assert.match(
    out,
    /39 events folded .* 0 of its entries have changed\n.*compacted home \(39 events/,
  );
  assert.deepEqual(await entriesOf(p, "sites"), entries);

  // Where it lacks an event that was cut, nothing stands for it.
  await p.broker.jsm.streams.delete("STATE");
  await assert.rejects(() => p.pipeline.rebuild("sites", {}), {
    code: "EDDY_REBUILD_HEAD_GONE",
    message: /the compacted home .* --from EVENTS:\d+/i,
  });
  assert.deepEqual(await entriesOf(p, "sites"), entries);
});

/** What a version folds where the ledger says this of the home stream. */
async function foldBehind(broker: Broker, input: InputRecord): Promise<Map<string, Site>> {
  const declaration = sites("sites", 3);
  const handler = { name: "sites", file: "sites.ts", version: "v3", declaration };
  const past = createPast({
    ...{ broker, handler, place: projectionPlace("sites") },
    beginning: await beginningOf(broker, handler, [input], undefined),
    deadlineMs: 1_000,
    readEntry: () => assert.fail(),
    signal: new AbortController().signal,
    onRead() {},
  });
  await past.readState();
  const isCompleted = (_: string, seq: number) => seq <= input.floor || input.above.includes(seq);
  await past.read(new Map([["EVENTS", input.above[0] ?? 0]]), new Map(), isCompleted);
  return new Map([...past.states.keys()].map((key) => [key, past.states.get(key) as Site]));
}

test("S1 S2: what the compacted home has and the ledger has not is left to the log, and what both have is not read there: nothing is folded twice", async () => {
  await using nats = await startNats({ sync: "default" });
  await using p = await startTestPipeline(nats);
  const note = on(Changed, () => {});
  await p.run({ sites: sites("sites", 1), note });
  await produce(p.broker, updates(0, 100, 20));
  await p.settled();
  await p.run({ note });
  await cutHead(p);
  await produce(p.broker, updates(100, 105, 20));
  const isKept = async () =>
    (await readHandlers(p.broker)).every(({ name, lag }) => name === "sites" || lag === 0);
  await eventually(isKept, { timeoutMs: 10_000, what: "that the compacted home has them" });
  const { createdMs } = await holdingOf(p.broker, "EVENTS");
  const seqs: number[] = []; // of the last five
  await readAll(p.broker, "EVENTS", "events.>", ({ seq }) => seqs.push(seq));
  const [floor = 0, , , ahead = 0] = seqs;
  const input = { stream: "EVENTS", createdMs, floor, above: [ahead, ahead] };
  const folded = [...(await foldBehind(p.broker, input)).values()];
  const numbers = folded.map(({ n }) => n).sort((a, b) => a - b);
  assert.deepEqual(numbers, [...Array.from({ length: 15 }, (_, i) => 85 + i), 100, 103]);
  assert.ok(folded.every(({ again }) => !again));

  await p.run({ sites: sites("sites", 2, { auto: true }), note });
  await p.settled();
  const entries = await entriesOf(p, "sites");
  const expected = updates(85, 105, 20).map(({ data }): [string, Site] => {
    const { site, n } = data as { site: string; n: number };
    return [site, { n, by: 2, closed: false, again: false }];
  });
  assert.deepEqual(entries, new Map(expected.sort()));
});
