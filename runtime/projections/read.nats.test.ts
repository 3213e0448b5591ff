import assert from "node:assert/strict";
import { test } from "node:test";
import { AckPolicy, type JetStreamClient, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import { bucketConfig, ensureStream, type NatsConnection, wireHeaders } from "../broker/index.ts";
import { EddyError, token } from "../events/index.ts";
import { openProjectionReader } from "./read.ts";
import type { Change } from "./watch.ts";

const names = { app: "test", home: "EVENTS" };

async function bucketOf(nc: NatsConnection, name: string) {
  await ensureStream(await jetstreamManager(nc), bucketConfig(name));
  const js = jetstream(nc);
  await js.publish(`cursor.${name}`, "ledger");
  await js.publish(`cursor.${name}.EVENTS.7`, "standing");
  return writer(js, name);
}

function writer(js: JetStreamClient, name: string) {
  const subject = (key: string) => `$KV.${name}.${token(key)}`;
  return {
    put: async (key: string, value: unknown) =>
      (await js.publish(subject(key), JSON.stringify(value))).seq,
    delete: async (key: string) => {
      const headers = wireHeaders("KV-Operation: DEL\r\nNats-TTL: 24h\r\n");
      return (await js.publish(subject(key), "", { headers })).seq;
    },
  };
}

/** Collects changes in the background. */
function watching(changes: AsyncIterable<Change>) {
  const seen: [string, unknown][] = [];
  const done = (async () => {
    for await (const { key, value } of changes) seen.push([key, value]);
  })();
  return { seen, done };
}

test("entries are read by key, whatever the key holds, with revision and time", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  const bucket = await bucketOf(nc, "things");
  const reader = await openProjectionReader(nc, names);
  for (const key of ["a.b", "*", ">", "a/b c", "\r\n\0", "😀", "%41", "=41"]) {
    const revision = await bucket.put(key, { key });
    const entry = await reader.get("things", key);
    assert.deepEqual([entry?.key, entry?.value, entry?.revision], [key, { key }, revision]);
    assert.ok(Math.abs(Date.now() - (entry?.time.getTime() ?? 0)) < 60_000);
  }
  assert.equal(await reader.get("things", "none"), undefined);
  // Where its record is none that is known here: read all the same, and nobody can wait.
  assert.equal(await reader.reach("things"), undefined);
  const wait = { after: { stream: "EVENTS", seq: 1 }, waitMs: 1_000 };
  await assert.rejects(reader.reach("things", wait), { code: "EDDY_LEDGER_UNREADABLE" });
  await bucket.delete("*");
  assert.equal(await reader.get("things", "*"), undefined);
  await bucket.put("null", null);
  assert.equal((await reader.get("things", "null"))?.value, null);
});

test("R1: buckets that are no projections, and names that are none, are unknown", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({ name: "KV_plain", subjects: ["$KV.plain.>"] });
  await jsm.streams.add({ name: "OTHER", subjects: ["cursor.other"] });
  const reader = await openProjectionReader(nc, names);
  for (const name of [
    "plain",
    "other",
    "none",
    "",
    ">",
    "*",
    "a.b",
    "x y",
    "\0",
    "é",
    "x".repeat(65),
  ]) {
    assert.equal(await reader.get(name, "k"), undefined, name);
    assert.equal(await reader.keys(name, { limit: 1 }), undefined, name);
    await assert.rejects(
      async () => {
        for await (const _ of await reader.watch(name, { signal: AbortSignal.timeout(5_000) }));
      },
      (error) => error instanceof EddyError && error.code === "EDDY_PROJECTION_UNKNOWN",
    );
  }
  assert.deepEqual(await reader.list(), []);
});

test("projections are listed with the entries that are not deleted", async () => {
  await using nats = await startNats({ sync: "default" });
  const nc = await nats.connect();
  const one = await bucketOf(nc, "b-one");
  await bucketOf(nc, "a_none");
  await Promise.all(Array.from({ length: 300 }, (_, n) => one.put(`k${n}`, n)));
  await one.put("k0", "again");
  for (const key of ["k1", "k2", "never"]) await one.delete(key);
  await one.put("k2", "back");
  const reader = await openProjectionReader(nc, names);
  assert.deepEqual(await reader.list(), [
    { name: "a_none", entries: 0, positions: [] },
    { name: "b-one", entries: 299, positions: [] },
  ]);
  assert.equal((await (await jetstreamManager(nc)).consumers.list("KV_b-one").next()).length, 0);
});

test("keys are sorted as texts and paged without gap or overlap", async () => {
  await using nats = await startNats({ sync: "default" });
  const nc = await nats.connect();
  const bucket = await bucketOf(nc, "p");
  const keys = ["", " ", "A", "a", "a.b", "a/b", "b", "z9", "é", "😀"].filter((key) => key !== "");
  for (const key of [...keys].reverse()) await bucket.put(key, 1);
  await bucket.put("gone", 1);
  await bucket.delete("gone");
  const reader = await openProjectionReader(nc, names);
  const read: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await reader.keys("p", { limit: 2, ...(after === undefined ? {} : { after }) });
    assert.ok(page !== undefined && page.keys.length <= 2);
    read.push(...page.keys);
    if (page.next === undefined) break;
    after = page.next;
  }
  assert.deepEqual(read, [...keys].sort());
  assert.deepEqual(await reader.keys("p", { limit: 5, after: "zz-behind-all-ascii" }), {
    keys: ["é", "😀"],
  });
  assert.deepEqual(await reader.keys("p", { limit: 5, after: "\u{10ffff}" }), { keys: [] });
});

test("R3: a watch gives the entries as they are, then each change, over a killed server too", async () => {
  await using nats = await startNats();
  const nc = await nats.connect({ maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  const bucket = await bucketOf(nc, "w");
  await bucket.put("a", 1);
  await bucket.put("a", 2);
  await bucket.put("b", 1);
  await bucket.delete("b");
  await bucket.put("c", 1);
  const reader = await openProjectionReader(nc, names);
  const stop = new AbortController();
  const all = watching(await reader.watch("w", { signal: stop.signal }));
  const onlyA = watching(await reader.watch("w", { key: "a", signal: stop.signal }));
  await eventually(() => all.seen.length === 2 && onlyA.seen.length === 1);
  await bucket.delete("c");
  await bucket.put("b", 2);
  const expected: [string, unknown][] = [
    ["a", 2],
    ["c", 1],
    ["c", null],
    ["b", 2],
  ];
  await eventually(() => all.seen.length === 4);

  await nats.kill();
  await nats.restart();
  const other = writer(jetstream(await nats.connect()), "w");
  for (let n = 3; n <= 6; n++) {
    await other.put("a", n);
    expected.push(["a", n]);
  }
  await eventually(() => onlyA.seen.at(-1)?.[1] === 6 && all.seen.at(-1)?.[1] === 6, {
    timeoutMs: 20_000,
    what: "the watch going on after a restart",
  });
  // History is 1: states that were replaced while the watch was cut may be missing, none comes twice.
  assert.deepEqual(all.seen.slice(0, 4), expected.slice(0, 4));
  const tail = all.seen.slice(4).map(([, value]) => value as number);
  assert.deepEqual(tail, [...new Set(tail)].sort());
  stop.abort();
  await Promise.all([all.done, onlyA.done]);
  const jsm = await jetstreamManager(nc);
  await eventually(async () => (await jsm.consumers.list("KV_w").next()).length === 0);
});

test("R3: a watch of an empty projection gives the first entry", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  const bucket = await bucketOf(nc, "e");
  const reader = await openProjectionReader(nc, names);
  const stop = new AbortController();
  const { seen, done } = watching(await reader.watch("e", { signal: stop.signal }));
  await bucket.put("first", 1);
  await eventually(() => seen.length === 1);
  stop.abort();
  await done;
});

test("a watch ends with an error when its projection is removed", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  const bucket = await bucketOf(nc, "r");
  await bucket.put("a", 1);
  const reader = await openProjectionReader(nc, names);
  const { seen, done } = watching(await reader.watch("r", { signal: AbortSignal.timeout(20_000) }));
  await eventually(() => seen.length === 1);
  await (await jetstreamManager(nc)).streams.delete("KV_r");
  await assert.rejects(
    done,
    (error) => error instanceof EddyError && error.code === "EDDY_PROJECTION_UNKNOWN",
  );
});

test("without a server reads say that they are not connected", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  await bucketOf(nc, "x");
  const reader = await openProjectionReader(nc, names);
  await nc.close();
  for (const work of [reader.list(), reader.get("x", "k"), reader.keys("x", { limit: 1 })]) {
    await assert.rejects(
      work,
      (error) => error instanceof EddyError && error.code === "EDDY_NOT_CONNECTED",
    );
  }
});

test("a foreign value in the bucket is named", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  await bucketOf(nc, "f");
  await jetstream(nc).publish("$KV.f.k", "no json");
  const reader = await openProjectionReader(nc, names);
  await assert.rejects(reader.get("f", "k"), /"k" of projection f is no JSON/);
});

test("a watch that the server refuses for its limits says so, and does not wait for ever", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  const bucket = await bucketOf(nc, "things");
  await bucket.put("a", 1);
  const jsm = await jetstreamManager(nc);
  await jsm.streams.delete("KV_things");
  await jsm.streams.add({ ...bucketConfig("things"), max_consumers: 1 });
  await jsm.consumers.add("KV_things", { durable_name: "other", ack_policy: AckPolicy.None });
  const reader = await openProjectionReader(nc, names);
  const watch = await reader.watch("things", { signal: AbortSignal.timeout(20_000) });
  await assert.rejects(watch.next(), { code: "EDDY_READ_FAILED", message: /maximum consumers/ });
});

test("of large entries few wait for whoever watches and does not read", async () => {
  await using nats = await startNats({ sync: "default" });
  const bucket = await bucketOf(await nats.connect(), "things");
  const text = "x".repeat(500_000);
  for (let n = 0; n < 60; n++) await bucket.put(`k${n}`, text);
  const nc = await nats.connect();
  const reader = await openProjectionReader(nc, names);
  const watch = await reader.watch("things", { signal: AbortSignal.timeout(20_000) });
  const before = nc.stats().inBytes;
  await watch.next();
  for (let n = 0; n < 20; n++) await nc.flush(); // what the server sends comes before its answer
  const came = nc.stats().inBytes - before;
  assert.ok(came < 5_000_000, `${came} bytes came`);
  let seen = 1;
  while (seen < 60 && (await watch.next()).done !== true) seen++;
  await watch.return(undefined);
});
