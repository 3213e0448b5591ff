// Replay, comparison and the check before a reload, of a projection that is folded from several streams.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, type Handler, type Projection, projection } from "../../runtime/authoring/index.ts";
import { type Broker, readMessage } from "../../runtime/broker/index.ts";
import {
  compareLast,
  compareOver,
  decodeRecord,
  replay,
  spanOf,
} from "../../runtime/pipeline/index.ts";
import { storeLetter } from "../../runtime/pipeline/retry/letters.ts";
import { openEntries } from "../../runtime/projections/index.ts";
import { addHub } from "../support/hub.ts";
import { startNats } from "../support/nats.ts";
import { makeTestEvent, startTestPipeline } from "../support/pipeline.ts";
import { type AtPlace, produceInTurns } from "../support/turns.ts";

const Noted = event("com.acme.noted", Type.Object({ key: Type.String(), n: Type.Integer() }));

function tails(version: string, change = (n: number) => n, streams = ["HUB"]): Handler {
  const declaration = projection("tails", {
    from: [Noted],
    streams,
    key: (e) => e.data.key,
    state: Type.Object({ seen: Type.Array(Type.Integer()) }),
    apply: (state, e) => ({ seen: [...(state?.seen ?? []), change(e.data.n)] }),
  }) as unknown as Projection;
  return { name: "tails", file: "tails.ts", version, declaration };
}

/** Events of two keys on home and hub in turns; one stands twice in HUB. */
const made = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => {
    const n = from + i;
    const id = n === 10 ? "e7" : `e${n}`;
    const stream = n % 3 === 1 ? "HUB" : "EVENTS";
    return { stream, event: makeTestEvent(Noted.type, id, { key: `k${n % 2}`, n }) } as const;
  });

function folded(stored: readonly AtPlace[], change = (n: number) => n) {
  const entries: Record<string, { seen: number[] }> = {};
  for (const { event } of stored) {
    const { key, n } = event.data as { key: string; n: number };
    if (n === 10) continue;
    entries[key] ??= { seen: [] };
    entries[key].seen.push(change(n));
  }
  return entries;
}

async function entriesOf({ jsm }: Broker, name: string) {
  const entries: Record<string, unknown> = {};
  for (const key of ["k0", "k1"]) {
    const which = { last_by_subj: `$KV.${name}.${key}` };
    const entry = await jsm.streams.getMessage(`KV_${name}`, which);
    if (entry !== null) entries[key] = entry.json();
  }
  return entries;
}

function reads(broker: Broker) {
  return {
    broker,
    deadlineMs: 5_000,
    readEntry: async () => ({ value: undefined }),
    findEntries: async () => ({ entries: [] }),
  };
}

test("a replay reads all streams of a projection in the order of storing, and a shadow goes on where it was in each", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const { broker } = p;
  await addHub(broker.nc);
  const stored = await produceInTurns(broker, made(0, 18));
  const handler = tails("v1");
  const run = async (from: string, to?: string, name?: string) => {
    const order: string[] = [];
    const told = await replay({
      ...reads(broker),
      handler,
      span: await spanOf(broker, [handler], from, to),
      way: name === undefined ? { kind: "look" } : { kind: "into", name },
      openEntries: (declaration) => openEntries(broker, declaration, () => {}),
      onRerun: ({ position: { stream, seq } }) => order.push(`${stream}:${seq}`),
    });
    return { order, told };
  };
  const places = (from: number, to?: number) =>
    stored.slice(from, to).map(({ position: { stream, seq } }) => `${stream}:${seq}`);

  const all = await run("first");
  assert.deepEqual(all.order, places(0));
  assert.deepEqual([all.told.read, all.told.run, all.told.duplicate], [18, 17, 1]);
  assert.deepEqual((await run("HUB:3", "EVENTS:10")).order, places(7, 15));
  const since = new Date(stored[5]?.storedMs ?? 0).toISOString();
  assert.deepEqual((await run(since)).order, places(5));
  assert.deepEqual((await run("HUB:2", "HUB:2")).order, places(4, 5));

  const half = await run("first", "HUB:4", "shadow"); // HUB:4 repeats HUB:3
  assert.deepEqual([half.told.read, half.told.stored], [11, 10]);
  assert.deepEqual(await entriesOf(broker, "shadow"), folded(stored.slice(0, 11)));
  assert.deepEqual((await run("first", "HUB:1", "shadow")).order, []);
  assert.deepEqual((await run("first", undefined, "shadow")).order, places(11));
  assert.deepEqual(await entriesOf(broker, "shadow"), folded(stored));
  const more = await produceInTurns(broker, made(19, 1));
  assert.deepEqual((await run("first", undefined, "shadow")).order, ["HUB:7"]);
  assert.deepEqual(await entriesOf(broker, "shadow"), folded([...stored, ...more]));
  const record = await readMessage(broker.nc, "KV_shadow", { last_by_subj: "cursor.shadow" });
  const inputs = decodeRecord(record?.data ?? new Uint8Array()).inputs;
  assert.deepEqual(
    inputs.map(({ stream, floor }) => [stream, floor]),
    [
      ["EVENTS", 12],
      ["HUB", 7],
    ],
  );

  const wrong = { code: "EDDY_REPLAY_RANGE", message: /another stream than EVENTS and HUB/ };
  await assert.rejects(run("OTHER:1"), wrong);
  await assert.rejects(run("HUB:8", "HUB:9"), /the log holds EVENTS:1 to 12, and HUB:1 to 7/);
  await broker.jsm.streams.purge("HUB", { seq: 3 });
  const gone = { code: "EDDY_REPLAY_GONE", message: /begins at HUB:3/ };
  await assert.rejects(run("HUB:2"), gone);
  await assert.rejects(run("EVENTS:2"), gone, "what HUB had then is gone");
  assert.deepEqual((await run("EVENTS:6")).order.slice(0, 3), places(8, 11));
  await broker.jsm.streams.delete("HUB");
  await assert.rejects(run("first"), { code: "EDDY_STREAM_MISSING", message: /HUB/ });
  await broker.jsm.streams.add({ name: "HUB", subjects: ["other.>"] });
  await assert.rejects(run("first", undefined, "shadow"), {
    code: "EDDY_REPLAY_INTO",
    message: /of a stream HUB that is not there any more/,
  });
});

test("a comparison, and the check before a reload, look at all streams, and at letters of each of them", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const { broker } = p;
  await addHub(broker.nc);
  const stored = await produceInTurns(broker, made(0, 18));
  const live = tails("v1");
  const over = async (next: Handler) => {
    const span = await spanOf(broker, [live, next], "first");
    const { differences } = await compareOver({ ...reads(broker), live, next, span });
    return Object.fromEntries(
      differences.map((one) => [one.kind === "entries" ? one.key : "", [one.live, one.next]]),
    );
  };
  const hub = stored.filter(({ stream }) => stream === "HUB");
  const change = (n: number) => (n === 13 ? 1_300 : n); // in HUB, for k1
  const [before, after] = [folded(stored), folded(stored, change)];
  assert.ok(hub.some(({ event }) => Reflect.get(Object(event.data), "n") === 13));
  assert.deepEqual(await over(tails("v2", change)), { k1: [before.k1, after.k1] });
  const home = folded(stored.filter(({ stream }) => stream === "EVENTS"));
  assert.deepEqual(await over(tails("v3", undefined, ["EVENTS"])), {
    k0: [before.k0, home.k0],
    k1: [before.k1, home.k1],
  });

  await p.run({}); // there are streams for letters
  const position = hub[1]?.position ?? { stream: "", seq: 0 };
  const message = await readMessage(broker.nc, position.stream, { seq: position.seq });
  assert.ok(message?.headers);
  const { natsSubject, headers, data } = message;
  await storeLetter(broker, {
    handler: "tails",
    original: { position, natsSubject, timeMs: 0, headers, data },
    attempts: [],
    next: 1,
    packedMs: Date.now(),
    death: { reason: "permanent", version: "v0", error: { name: "Error", message: "x" } },
  });
  const last = (next: Handler, events: number) => {
    const stop = new AbortController().signal;
    return compareLast({ ...reads(broker), live, next, events, attemptMs: 1_000, stop });
  };
  const same = await last(tails("v2"), 5);
  assert.deepEqual([same.read, same.letters, same.lettersMended], [5, 1, 1]);
  assert.deepEqual(same.differences, []);
  assert.equal((await last(tails("v2", change), 5)).differing.entries, 1);
  assert.equal((await last(tails("v2", change), 4)).differing.entries, 0, "only the last four");
});
