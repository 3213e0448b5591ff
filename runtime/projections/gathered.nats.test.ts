import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, headers, type Msg } from "nats";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats, type TestNats } from "../../tests/support/nats.ts";
import { startProxy } from "../../tests/support/proxy.ts";
import { bucketConfig, ensureStream, type NatsConnection } from "../broker/index.ts";
import { EddyError, token } from "../events/index.ts";
import { openProjectionReader } from "./read.ts";

const names = { app: "test", home: "EVENTS" };
const direct = "$JS.API.DIRECT.GET.KV_things";

async function startThings(nats: TestNats, read: NatsConnection) {
  const nc = await nats.connect();
  await ensureStream(await jetstreamManager(nc), bucketConfig("things"));
  nc.publish("cursor.things", "");
  const asked: { kind: "one" | "many"; subjects: number }[] = [];
  const watcher = await nats.connect();
  watcher.subscribe("$JS.API.STREAM.MSG.GET.KV_things", {
    callback(_, message) {
      const { last_by_subj: of } = message.json<{ last_by_subj: string }>();
      if (of.startsWith("$KV.")) asked.push({ kind: "one", subjects: 1 }); // else whether a rebuild is under way
    },
  });
  watcher.subscribe(direct, {
    callback(_, message) {
      const { multi_last } = message.json<{ multi_last: string[] }>();
      asked.push({ kind: "many", subjects: multi_last.length });
    },
  });
  await watcher.flush();
  const reader = await openProjectionReader(read, names);
  return {
    asked,
    get: async (key: string) => (await reader.get("things", key))?.value,
    async put(key: string, text: string) {
      nc.publish(`$KV.things.${token(key)}`, text);
      await nc.flush();
    },
    stored: async (messages: number) => {
      const manager = await jetstreamManager(nc);
      await eventually(
        async () => (await manager.streams.info("KV_things")).state.messages === messages,
      );
    },
  };
}

const each = (keys: readonly string[], get: (key: string) => Promise<unknown>) =>
  Promise.allSettled(keys.map(get));

test("G1 G2: reads asked for together are one request, and each has its own answer", async () => {
  await using nats = await startNats();
  const things = await startThings(nats, await nats.connect());
  for (let n = 0; n < 20; n++) await things.put(`k ${n}`, String(n));
  await things.put("broken", "no json");
  await things.put("deleted", "");
  await things.get("k 0");
  await eventually(() => things.asked.length === 1);
  things.asked.length = 0;
  const keys = ["k 1", "broken", "none", "deleted", "k 19", "k 1", "*", ">"];
  const results = await each(keys, things.get);
  const values = results.map((result) =>
    result.status === "fulfilled" ? result.value : (result.reason as EddyError).code,
  );
  assert.deepEqual(values, [
    ...[1, "EDDY_ENTRY_UNREADABLE", undefined, undefined, 19, 1, undefined, undefined],
  ]);
  await eventually(() => things.asked.length > 0);
  assert.deepEqual(things.asked, [{ kind: "many", subjects: 7 }]);

  things.asked.length = 0;
  assert.equal(await things.get("k 5"), 5);
  await eventually(() => things.asked.length > 0);
  assert.deepEqual(things.asked, [{ kind: "one", subjects: 1 }]);
});

test("G1: a read is never answered from a request that was sent before it was asked", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  const things = await startThings(nats, nc);
  await things.put("k", "0");
  let last = 0;
  let over = false;
  // Not in step: a reader asks while the request of another one is under way, alone or beside other entries.
  const readers = Array.from({ length: 16 }, async (_, reader) => {
    for (let round = reader; !over; round++) {
      for (let turn = round % 7; turn > 0; turn--) await new Promise(setImmediate);
      if (reader % 2 === 0) void things.get("none");
      const before = last;
      const value = Number(await things.get("k"));
      assert.ok(value >= before, `${value} after ${before} was stored`);
    }
  });
  const manager = await jetstreamManager(nc);
  for (let n = 1; n <= 200; n++) {
    await things.put("k", String(n));
    await manager.streams.info("KV_things");
    last = n;
  }
  over = true;
  await Promise.all(readers);
});

test("G1: who asks for what is asked for already is given the answer to a later request", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  const manager = await jetstreamManager(nc);
  await manager.streams.add({ ...bucketConfig("slow"), allow_direct: false });
  const requests: Msg[] = [];
  nc.subscribe("$JS.API.DIRECT.GET.KV_slow", {
    callback: (_, message) => void requests.push(message),
  });
  await nc.flush();
  const reading = await nats.connect();
  const reader = await openProjectionReader(reading, names);
  const ask = () =>
    Promise.all(["a", "b"].map(async (key) => (await reader.get("slow", key))?.value));
  const answer = (request: Msg | undefined, value: number) => {
    for (const key of ["a", "b"]) {
      const lines = headers();
      lines.set("Nats-Stream", "KV_slow");
      lines.set("Nats-Subject", `$KV.slow.${key}`);
      lines.set("Nats-Sequence", "3");
      lines.set("Nats-Time-Stamp", new Date().toISOString());
      request?.respond(String(value), { headers: lines });
    }
    request?.respond("", { headers: headers(204, "EOB") });
  };
  const early = ask();
  await eventually(() => requests.length === 1);
  const late = ask();
  for (let n = 0; n < 5; n++) await reading.flush(); // it has asked by then
  answer(requests[0], 1);
  assert.deepEqual(await early, [1, 1]);
  await eventually(() => requests.length === 2);
  answer(requests[1], 2);
  assert.deepEqual(await late, [2, 2]);
});

test("more than the server gives at once, in count and in bytes, is asked for in parts", async () => {
  await using nats = await startNats();
  const things = await startThings(nats, await nats.connect());
  const text = (n: number) => JSON.stringify({ n, text: "x".repeat(100_000) });
  for (let n = 0; n < 100; n++) await things.put(`large ${n}`, text(n));
  for (let n = 0; n < 1_500; n++) await things.put(`small ${n}`, String(n));
  await things.stored(1_601);
  await things.get("none");
  await eventually(() => things.asked.length === 1);
  const large = Array.from({ length: 120 }, (_, n) => `large ${n}`);
  const results = await Promise.all(large.map(things.get));
  for (const [n, value] of results.entries()) {
    assert.equal(Reflect.get(Object(value), "n"), n < 100 ? n : undefined);
  }
  things.asked.length = 0;
  const small = Array.from({ length: 2_000 }, (_, n) => `small ${n}`);
  const values = await Promise.all(small.map(things.get));
  assert.deepEqual(
    values,
    small.map((_, n) => (n < 1_500 ? n : undefined)),
  );
  assert.ok(things.asked.every(({ kind, subjects }) => kind === "many" && subjects <= 512));
  assert.ok(things.asked.length <= 5, `${things.asked.length} requests`);
});

test("of an answer that stops halfway, what came counts and the rest says that it is missing", async () => {
  await using nats = await startNats();
  const keys = ["a", "b", "c"];
  const server = await halfServer(nats);
  const reader = await openProjectionReader(server.nc, names);
  const got = keys.map(async (key) => (await reader.get("half", key))?.value);
  const results = await Promise.allSettled(got);
  assert.deepEqual(results[0], { status: "fulfilled", value: 7 });
  for (const result of results.slice(1)) {
    assert.ok(result.status === "rejected" && result.reason instanceof EddyError);
    assert.equal(result.reason.code, "EDDY_NOT_CONNECTED");
  }
});

/** A bucket whose direct gets somebody answers with one entry, and is then gone. */
async function halfServer(nats: TestNats) {
  const nc = await nats.connect();
  const manager = await jetstreamManager(nc);
  await manager.streams.add({ ...bucketConfig("half"), allow_direct: false });
  nc.subscribe("$JS.API.DIRECT.GET.KV_half", {
    callback(_, message) {
      const lines = headers();
      lines.set("Nats-Stream", "KV_half");
      lines.set("Nats-Subject", "$KV.half.a");
      lines.set("Nats-Sequence", "3");
      lines.set("Nats-Time-Stamp", new Date().toISOString());
      message.respond("7", { headers: lines });
    },
  });
  await nc.flush();
  return { nc: await nats.connect() };
}

test("a bucket without direct gets is read one by one", async () => {
  await using nats = await startNats();
  const nc = await nats.connect();
  const manager = await jetstreamManager(nc);
  await manager.streams.add({ ...bucketConfig("plain"), allow_direct: false });
  for (const key of ["a", "b"]) nc.publish(`$KV.plain.${key}`, JSON.stringify(key));
  await nc.flush();
  const reader = await openProjectionReader(nc, names);
  await eventually(async () => (await reader.get("plain", "b"))?.value === "b");
  const entries = await Promise.all(["a", "b", "c"].map((key) => reader.get("plain", key)));
  assert.deepEqual(
    entries.map((entry) => entry?.value),
    ["a", "b", undefined],
  );
});

test("reads under way when the connection is cut say so at once, and later ones are answered", async () => {
  await using nats = await startNats();
  await using proxy = await startProxy(nats.port);
  const nc = await connect({ servers: proxy.url, reconnectTimeWait: 100 });
  const things = await startThings(nats, nc);
  for (const key of ["a", "b"]) await things.put(key, "1");
  await things.get("a");
  proxy.set({ kind: "deaf" });
  const asked = each(["a", "b"], things.get);
  await new Promise((resolve) => setTimeout(resolve, 50)); // so that they are on their way
  proxy.set({ kind: "cut" });
  const began = performance.now();
  for (const result of await asked) assert.equal(result.status, "rejected");
  assert.ok(performance.now() - began < 4_000);
  proxy.set({ kind: "open" });
  await eventually(async () => (await things.get("b")) === 1, { timeoutMs: 20_000 });
  await nc.close();
});
