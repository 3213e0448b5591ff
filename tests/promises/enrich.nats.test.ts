import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import {
  type DataOf,
  type EnrichOptions,
  enrich,
  event,
  projection,
} from "../../runtime/authoring/index.ts";
import { storeBatch } from "../../runtime/broker/index.ts";
import { type CloudEvent, encodeMessage, eventSubject, keyOf } from "../../runtime/events/index.ts";
import { listLetters } from "../../runtime/pipeline/index.ts";
import { openProjectionReader } from "../../runtime/projections/index.ts";
import { eventually } from "../support/eventually.ts";
import { startNats } from "../support/nats.ts";
import {
  makeTestEvent,
  produce,
  startTestPipeline,
  type TestPipeline,
} from "../support/pipeline.ts";
import { startSource, type TestSource } from "../support/source.ts";

const Uploaded = event("com.acme.scan.uploaded", Type.Object({ key: Type.String() }), {
  carries: "reference",
});
const Read = event(
  "com.acme.scan.read",
  Type.Object({ key: Type.String(), version: Type.Integer() }, { additionalProperties: false }),
  { carries: "state", key: "key", deletion: "never" },
);

const scans = projection("scans", {
  from: [Read],
  key: ({ data }) => data.key,
  apply: (_, { data }) => data,
});

function readingFrom(
  source: TestSource,
  options: EnrichOptions<typeof Uploaded>,
  onAsk = (_key: string, _signal: AbortSignal): unknown => undefined,
) {
  const full = { start: "first", ...options } as const;
  return enrich(Uploaded, Read, full, async ({ data }, { signal }) => {
    const onEnd = onAsk(data.key, signal);
    try {
      const answer = await fetch(`${source.url}/${data.key}`, { signal });
      if (!answer.ok) throw new Error(`${source.url} answers ${answer.status}`);
      return (await answer.json()) as DataOf<typeof Read>;
    } finally {
      if (typeof onEnd === "function") onEnd();
    }
  });
}

let last = 0;
const notification = (key: string) => {
  const id = `n${last++}`;
  return makeTestEvent(Uploaded.type, id, { key }, { subject: id }); // of its own: the data names what is asked for
};

/** In one batch: it is not the storing that is shown here. */
async function storeAll({ broker }: TestPipeline, events: readonly CloudEvent[]): Promise<void> {
  const messages = events.map((event) => ({
    natsSubject: eventSubject(event.type, keyOf(event)),
    ...encodeMessage(event),
  }));
  const { kind } = await storeBatch(broker.nc, messages, 10_000);
  assert.equal(kind, "stored");
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

async function assertTrue(world: TestPipeline, source: TestSource, keys: Iterable<string>) {
  const reader = await openProjectionReader(world.broker.nc, world.broker);
  await eventually(
    async () => {
      for (const key of keys) {
        const entry = await reader.get("scans", key);
        assert.deepEqual(entry?.value, { key, version: source.versions.get(key) ?? 0 });
      }
      return true;
    },
    { timeoutMs: 10_000, what: "that the projection holds what is true" },
  );
}

const said = (world: TestPipeline, kind: "trouble" | "mended") =>
  world.facts.filter((fact) => fact.kind === kind && fact.code === "EDDY_ENRICH_SOURCE_DOWN")
    .length;

const counted = (world: TestPipeline, what: string) =>
  world.facts.filter((fact) => fact.kind === "enrich" && fact.what === what).length;

test("10,000 notifications of 100 keys, in any order and each of them twice, cause at most 5 % of the calls, and end in the source's truth", async () => {
  await using nats = await startNats();
  await using source = await startSource();
  await using world = await startTestPipeline(nats);
  const keys = Array.from({ length: 100 }, (_, at) => `k${at}`);
  for (const key of keys) source.versions.set(key, 1);
  const events = Array.from({ length: 5_000 }, (_, at) => notification(`k${at % 100}`));
  const twice = shuffled([...events, ...events]);
  for (let at = 0; at < twice.length; at += 500) await storeAll(world, twice.slice(at, at + 500));
  await world.run({ readScan: readingFrom(source, { share: "2s" }), scans });
  const outcomes = () =>
    world.facts.filter((fact) => fact.kind === "outcome" && fact.handler === "readScan").length;
  await eventually(() => outcomes() === 10_000, { timeoutMs: 60_000 }); // on a busy machine, too
  const rows = await world.settled();
  const { handled, duplicate, dead } = rows.get("readScan") ?? {};
  assert.deepEqual({ handled, duplicate, dead }, { handled: 5_000, duplicate: 5_000, dead: 0 });
  await assertTrue(world, source, keys);
  assert.ok(source.callCount <= 500, `${source.callCount} calls`);
  assert.ok(source.most <= 8, `${source.most} calls at once`);
  assert.equal(counted(world, "saved"), 5_000 - source.callCount);
});

test("the source changes while it is asked: whatever order notifications come in, the last state is the last truth", async () => {
  await using nats = await startNats();
  await using source = await startSource(20);
  await using world = await startTestPipeline(nats);
  const share = 200;
  const asked = new Map<string, number[]>(); // when, by key
  const onAsk = (key: string) => asked.set(key, [...(asked.get(key) ?? []), performance.now()]);
  await world.run({ readScan: readingFrom(source, { share }, onAsk), scans });
  const keys = Array.from({ length: 20 }, (_, at) => `c${at}`);
  const began = performance.now();
  for (const key of shuffled(Array.from({ length: 1_500 }, (_, at) => `c${at % 20}`))) {
    source.change(key);
    await produce(world.broker, [notification(key)]);
  }
  await world.settled();
  await assertTrue(world, source, keys);
  const windows = (performance.now() - began) / share + 1;
  for (const [key, calls] of asked) {
    assert.ok(calls.length <= windows, `${calls.length} calls of ${key} in ${windows} windows`);
    const gaps = calls.slice(1).map((at, before) => at - (calls[before] ?? 0));
    assert.ok(
      Math.min(...gaps) > share - 50,
      `${key} was asked again after ${Math.min(...gaps)} ms`,
    );
  }
});

test("a source that is down for longer than all attempts take is said once; nothing is lost, no attempt dies, and it ends in the truth", async () => {
  await using nats = await startNats();
  await using source = await startSource();
  await using world = await startTestPipeline(nats, { delaysMs: [] });
  await world.run({ readScan: readingFrom(source, { share: "50ms", deadline: "300ms" }), scans });
  source.manner = "down";
  const keys = Array.from({ length: 12 }, (_, at) => `d${at}`);
  const notify = async () => {
    for (const key of keys) source.change(key);
    await produce(world.broker, keys.map(notification));
  };
  await notify();
  await eventually(() => said(world, "trouble") === 1);
  await notify();
  // Each has one attempt only, and is there at a later time all the same.
  await eventually(() => counted(world, "postponed") >= 24, { timeoutMs: 10_000 });
  const whileDown = source.callCount;
  assert.ok(whileDown < 20, `${whileDown} calls of a source that is down`);
  assert.deepEqual([said(world, "trouble"), said(world, "mended")], [1, 0]);
  source.manner = "true";
  const rows = await world.settled();
  await assertTrue(world, source, keys);
  assert.deepEqual([rows.get("readScan")?.handled, rows.get("readScan")?.dead], [24, 0]);
  assert.equal((await listLetters(world.broker)).length, 0);
  // On a busy machine a call may take longer than its deadline afterwards: that is a circuit of its own.
  assert.equal(said(world, "mended"), said(world, "trouble"));
});

test("a source that hangs is cut off at the deadline, and asked again; it does not hold up other keys", async () => {
  await using nats = await startNats();
  await using source = await startSource();
  // More attempts than it takes the others to be asked for, on a busy machine too.
  await using world = await startTestPipeline(nats, {
    delaysMs: Array.from({ length: 31 }, () => 50),
  });
  const options = { share: "20ms", deadline: "400ms", concurrency: 2 } as const;
  let [now, most] = [0, 0];
  const onAsk = (_: string, signal: AbortSignal) => {
    const call = new AbortController(); // ends once, by its deadline or by itself
    most = Math.max(most, ++now);
    call.signal.addEventListener("abort", () => now--);
    signal.addEventListener("abort", () => call.abort());
    return () => call.abort();
  };
  await world.run({ readScan: readingFrom(source, options, onAsk), scans });
  source.manners.set("stuck", "hangs");
  await produce(world.broker, [notification("stuck"), notification("stuck")]);
  await eventually(() => source.calls.has("stuck"));
  const others = Array.from({ length: 20 }, (_, at) => `h${at}`);
  await produce(world.broker, others.map(notification));
  await assertTrue(world, source, others);
  const deadline = (fact: { kind: string; error?: string }) =>
    fact.kind === "retry" && fact.error?.includes("did not finish");
  await eventually(() => world.facts.some(deadline));
  source.manners.clear();
  await world.settled();
  await assertTrue(world, source, ["stuck"]);
  assert.equal((await listLetters(world.broker)).length, 0);
  assert.ok(most <= 2, `${most} calls at once`); // the source hears later of one that was cut off
});

test("a lie is tried again and never stored; what stays one, and an answer of 10 MB, end as letters of each notification", async () => {
  await using nats = await startNats();
  await using source = await startSource();
  await using world = await startTestPipeline(nats, { delaysMs: [400, 400] });
  await world.run({ readScan: readingFrom(source, { share: "100ms" }), scans });
  source.manners
    .set("mended", "lies")
    .set("liar", "lies")
    .set("big", "huge")
    .set("other", "another");
  const keys = ["mended", "liar", "big", "other", "good"];
  await produce(world.broker, [...keys, ...keys].map(notification));
  await eventually(() => source.calls.has("mended"));
  source.manners.set("mended", "true");
  const rows = await world.settled();
  assert.deepEqual([rows.get("readScan")?.handled, rows.get("readScan")?.dead], [4, 6]);
  await assertTrue(world, source, ["mended", "good"]);
  const letters = await listLetters(world.broker);
  const lies = letters.filter(({ error }) => error.code === "EDDY_ENRICH_ANSWER");
  assert.equal(lies.length, 6, JSON.stringify(letters, undefined, 1));
  assert.equal(said(world, "trouble"), 0, "a source that answers is not down");
});

test("T2: an answer that cannot be stored answers nobody: who waited for it is not done", async () => {
  await using nats = await startNats();
  await using world = await startTestPipeline(nats, { delaysMs: [] });
  const Long = event(
    "com.acme.scan.long",
    Type.Object({ key: Type.String(), text: Type.String() }),
  );
  let calls = 0;
  const ask = async ({ data }: { data: { key: string } }) => {
    calls++;
    await new Promise((resolve) => setTimeout(resolve, 100)); // the second one waits for this call
    return { key: data.key, text: "x".repeat(50_000) };
  };
  await world.run({ readScan: enrich(Uploaded, Long, { start: "first", key: "key" }, ask) });
  await world.running("readScan");
  await world.broker.jsm.streams.update("EVENTS", { max_msg_size: 20_000 });
  await storeAll(world, [notification("k"), notification("k")]);
  const rows = await world.settled();
  assert.deepEqual([rows.get("readScan")?.handled, rows.get("readScan")?.dead], [0, 2]);
  assert.equal(calls, 1);
});
