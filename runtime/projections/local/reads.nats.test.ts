import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { eventually } from "../../../tests/support/eventually.ts";
import { startNats, type TestNats } from "../../../tests/support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../../../tests/support/pipeline.ts";
import { startProxy } from "../../../tests/support/proxy.ts";
import { event, on, type Projection, projection } from "../../authoring/index.ts";
import { bucketConfig, connectBroker, ensureStream, wireHeaders } from "../../broker/index.ts";
import { EddyError, token } from "../../events/index.ts";
import { openProjectionReader } from "../read.ts";
import { createEntryReads, type EntryReads } from "./reads.ts";

const names = { app: "test", home: "EVENTS" };
const connected = (url: string) =>
  connectBroker({ servers: [url], name: "test", timeoutMs: 5_000 }, names);

/** A bucket that the test writes as a projection does, and reads of it over another connection. */
async function startReads(nats: TestNats, local: Projection["local"], url = nats.url) {
  const writer = await connected(nats.url);
  const broker = await connected(url);
  const subject = (key: string) => `$KV.things.${token(key)}`;
  const make = async () => {
    await ensureStream(writer.jsm, bucketConfig("things"));
    await writer.js.publish("cursor.things", "");
  };
  await make();
  const facts: string[] = [];
  const reader = await openProjectionReader(broker.nc, broker);
  const reads = createEntryReads(broker, reader, (fact) => facts.push(fact.kind));
  const headers = wireHeaders("KV-Operation: DEL\r\nNats-TTL: 24h\r\n");
  return {
    reads,
    make,
    writer,
    put: async (key: string, value: unknown) =>
      (await writer.js.publish(subject(key), JSON.stringify(value))).seq,
    remove: (key: string) => writer.js.publish(subject(key), "", { headers }),
    get: async (key: string) => (await reads.read({ projection: "things", local, key })).value,
    read: (key: string) => reads.read({ projection: "things", local, key, told: true }),
    async [Symbol.asyncDispose]() {
      await reads.close();
      await broker.close();
      await writer.close();
    },
  };
}

const isReady = (reads: EntryReads) => reads.status()[0]?.ready === true;
const notConnected = (error: unknown) =>
  error instanceof EddyError && error.code === "EDDY_NOT_CONNECTED";

test("a local copy has all entries, changes and deletions; before it is filled the server is read", async () => {
  await using nats = await startNats();
  await using things = await startReads(nats, "all");
  for (let n = 0; n < 50; n++) await things.put(`k ${n}`, { n });
  await things.remove("k 7");
  assert.deepEqual(await things.get("k 3"), { n: 3 });
  await eventually(() => isReady(things.reads));
  assert.deepEqual(await things.get("k 49"), { n: 49 });
  assert.equal(await things.get("k 7"), undefined);
  assert.equal(await things.get("never"), undefined);
  const [status] = things.reads.status();
  assert.equal(status?.entries, 49);
  assert.ok((status?.sizeBytes ?? 0) > 49 * 8);
  await things.put("k 3", { n: "new" });
  await things.remove("k 4");
  await eventually(async () => (await things.get("k 4")) === undefined);
  assert.deepEqual(await things.get("k 3"), { n: "new" });
});

for (const local of ["all", 20] as const) {
  test(`local ${local}: 64 readers never see a value go back while entries change`, async () => {
    await using nats = await startNats();
    await using things = await startReads(nats, local);
    const keys = 40;
    for (let key = 0; key < keys; key++) await things.put(String(key), 0);
    let over = false;
    const readers = Array.from({ length: 64 }, async (_, reader) => {
      const seen = new Map<string, number>();
      for (let n = reader; !over; n += 7) {
        const key = String(n % keys);
        const value = Number(await things.get(key));
        assert.ok(value >= (seen.get(key) ?? 0), `${key} went from ${seen.get(key)} to ${value}`);
        seen.set(key, value);
        if (n % 50 < 7) await new Promise(setImmediate);
      }
    });
    for (let n = 1; n <= 40; n++) {
      await Promise.all(Array.from({ length: keys }, (_, key) => things.put(String(key), n)));
    }
    for (let key = 0; key < keys; key++) {
      await eventually(async () => (await things.get(String(key))) === 40);
    }
    over = true;
    await Promise.all(readers);
    const [status] = things.reads.status();
    assert.ok(status?.ready && status.entries <= (local === "all" ? keys : local));
  });
}

test("cut off, local reads go on and their age grows; afterwards nothing is missing", async () => {
  await using nats = await startNats();
  await using proxy = await startProxy(nats.port);
  await using things = await startReads(nats, "all", proxy.url);
  await things.put("a", 1);
  await things.put("gone", 1);
  await things.get("a");
  await eventually(() => isReady(things.reads));
  proxy.set({ kind: "cut" });
  for (let n = 2; n <= 300; n++) await things.put(n % 2 === 0 ? "a" : `new ${n}`, n);
  await things.remove("gone");
  assert.equal(await things.get("a"), 1);
  assert.equal(await things.get("gone"), 1);
  await eventually(async () => ((await things.read("a")).ageMs ?? 0) > 2_500);
  proxy.set({ kind: "open" });
  await eventually(async () => (await things.get("gone")) === undefined, { timeoutMs: 20_000 });
  assert.equal(await things.get("a"), 300);
  for (let n = 3; n < 300; n += 2) assert.equal(await things.get(`new ${n}`), n);
  await eventually(async () => ((await things.read("a")).ageMs ?? 0) < 1_500);
});

test("a bounded copy reads what it keeps while cut off, and says that it cannot read the rest", async () => {
  await using nats = await startNats();
  await using proxy = await startProxy(nats.port);
  await using things = await startReads(nats, 2, proxy.url);
  for (const key of ["a", "b", "c"]) await things.put(key, key);
  await things.get("a");
  await eventually(() => isReady(things.reads));
  for (const key of ["a", "b", "c"]) assert.equal(await things.get(key), key);
  proxy.set({ kind: "cut" });
  assert.equal(await things.get("c"), "c");
  await assert.rejects(things.get("a"), notConnected);
  await things.put("c", "later");
  proxy.set({ kind: "open" });
  await eventually(async () => (await things.get("c")) === "later", { timeoutMs: 20_000 });
});

test("over a killed server the copy goes on; a bucket that was made anew meanwhile is read anew", async () => {
  await using nats = await startNats();
  await using things = await startReads(nats, "all");
  for (const key of ["a", "b", "c"]) await things.put(key, "old");
  await things.get("a");
  await eventually(() => isReady(things.reads));
  await nats.kill();
  assert.equal(await things.get("a"), "old");
  await nats.restart();
  await eventually(() => things.put("a", "new"), { timeoutMs: 20_000 });
  await eventually(async () => (await things.get("a")) === "new", { timeoutMs: 20_000 });
  assert.equal(await things.get("b"), "old");

  await things.writer.jsm.streams.delete("KV_things");
  await things.make();
  for (let n = 0; n < 20; n++) await things.put("other", n);
  await eventually(async () => (await things.get("other")) === 19, { timeoutMs: 20_000 });
  await eventually(async () => (await things.get("b")) === undefined);
  await eventually(() => isReady(things.reads));
  assert.deepEqual([await things.get("a"), await things.get("b")], [undefined, undefined]);
});

test("a handler reads what its process has folded, with position and age, and waits for its event", async () => {
  await using nats = await startNats();
  await using test = await startTestPipeline(nats);
  const Moved = event("com.acme.moved", Type.Object({ to: Type.String() }));
  const places = projection("places", {
    from: [Moved],
    key: (e) => e.subject ?? "",
    apply: (_, e) => e.data,
    local: "all",
  });
  const seen: [string | undefined, number, boolean][] = [];
  const look = on(Moved, async (event, ctx) => {
    const waited = await ctx.get(places, "k", { after: event });
    const { value, position, ageMs } = await ctx.read(places, "k");
    assert.equal(value?.to, waited?.to);
    seen.push([value?.to, position?.seq ?? 0, ageMs !== undefined && ageMs < 5_000]);
  });
  await test.run({ look, places });
  await eventually(() => isReady(test.reads));
  for (let n = 1; n <= 30; n++) {
    const moved = makeTestEvent(Moved.type, `m${n}`, { to: `p${n}` }, { subject: "k" });
    await produce(test.broker, [moved]);
    await eventually(() => seen.length === n);
    assert.equal(seen[n - 1]?.[0], `p${n}`);
    assert.equal(seen[n - 1]?.[2], true);
  }
  const last = await test.broker.jsm.streams.getMessage("EVENTS", { last_by_subj: "events.>" });
  await eventually(async () => {
    const asked = { projection: "places", local: "all", key: "k", told: true } as const;
    const { position } = await test.reads.read(asked);
    assert.deepEqual(position, { stream: "EVENTS", seq: last?.seq });
    return true;
  });
});

test("what is stored here is read at once, whether the bucket has told it or not", async () => {
  await using nats = await startNats();
  await using proxy = await startProxy(nats.port);
  await using things = await startReads(nats, "all", proxy.url);
  await things.put("k", 1);
  await things.get("k");
  await eventually(() => isReady(things.reads));
  proxy.set({ kind: "cut" }); // the bucket tells nothing
  const seq = await things.put("k", 2);
  const data = Buffer.from("2");
  things.reads.stored("KV_things", seq, [{ natsSubject: "$KV.things.k", headerLines: "", data }]);
  assert.equal(await things.get("k"), 2);
});
