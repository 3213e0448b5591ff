import assert from "node:assert/strict";
import { test } from "node:test";
import { Objm } from "@nats-io/obj";
import { Type } from "typebox";
import { startNats } from "../../../tests/support/nats.ts";
import { makeTestEvent, startTestPipeline } from "../../../tests/support/pipeline.ts";
import { event, on, Permanent } from "../../authoring/index.ts";
import { createIngress } from "../../broker/index.ts";
import { digestOf } from "../../events/index.ts";
import { discardLetter, listLetters } from "../index.ts";
import { createSweep } from "./sweep.ts";

const Read = event("com.acme.scan.read", Type.Object({ n: Type.Integer(), text: Type.String() }));

test("P1 W1 W3: an object goes when its event and what came of it are gone, and none before; so do orphans", async () => {
  await using nats = await startNats({ maxPayload: 100_000 });
  await using p = await startTestPipeline(nats, { retentionMs: 1_000, delaysMs: [600_000] });
  const { broker } = p;
  const store = createIngress(broker.nc, { stream: "EVENTS", objects: broker.objects });
  const read = (id: string) =>
    makeTestEvent(
      Read.type,
      id,
      { n: 1, text: `${id}`.padEnd(300_000, "x") },
      { subject: "one key" },
    );
  await p.run({
    see: on(Read, {}, ({ id }) => {
      if (id === "dead") throw new Permanent("no");
      if (id === "waits") throw new Error("later");
    }),
  });
  await store([read("done"), read("dead"), read("waits")]);
  const objects = await new Objm(broker.js).open("EVENTS_data");
  const names = async () => (await objects.list()).map(({ name }) => name);
  const before = await names();
  assert.equal(before.length, 3);
  const [done, dead, waits] = before;
  // Left by processes that died: an object without its event, and the chunks of one that was not finished.
  const orphan = {
    bucket: "EVENTS_data",
    name: `${"o".repeat(43)}.${"p".repeat(43)}`,
    bytes: 4,
    digest: digestOf(Buffer.from("data")),
  };
  await broker.objects.put(orphan, Buffer.from("data"), "events.com.acme.scan.read.other");
  await broker.js.publish("$O.EVENTS_data.C.unfinished", "chunk");

  const young = createSweep(broker);
  const sweep = createSweep(broker, 0);
  const twice = async () => [await sweep.run(Date.now()), await sweep.run(Date.now())];
  assert.deepEqual(await twice(), [0, 0], "their events are there");

  // An hour later nothing is left in the home stream.
  const cut = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_100)); // the retention
    await p.pipeline.cutHead();
  };
  const waiting = async () =>
    (await p.broker.jsm.streams.info("RETRY", { subjects_filter: "retry.>" })).state.num_subjects;
  assert.ok(await waiting());
  await cut();
  const { state } = await broker.jsm.streams.info("EVENTS", { subjects_filter: "events.>" });
  assert.equal(Object.keys(state.subjects ?? {}).length, 0, "the head was not cut");
  assert.deepEqual(
    [await young.run(Date.now()), await young.run(Date.now())],
    [0, 0],
    "younger than an hour",
  );
  assert.deepEqual(await twice(), [0, 2], "what was done, and the orphan, in the second round");
  assert.deepEqual(await names(), [dead, waits]);
  assert.equal(await broker.objects.chunkStoredMs("unfinished"), undefined);

  // One that is stored anew while it is removed stays.
  const [letter] = await listLetters(broker);
  assert.ok(letter);
  const listed = (await broker.objects.list()).objects.find(({ name }) => name === waits);
  assert.ok(listed);
  const bytes = await objects.getBlob(waits ?? "");
  await objects.putBlob(
    { name: waits ?? "", metadata: { "eddy.subject": listed.natsSubject } },
    bytes,
  );
  await broker.objects.remove(listed);
  assert.equal((await objects.getBlob(waits ?? ""))?.byteLength, bytes?.byteLength);

  await discardLetter(broker, letter.letter);
  assert.deepEqual(await twice(), [0, 1]);
  assert.deepEqual(await names(), [waits]);
  await broker.jsm.streams.purge("RETRY");
  await broker.jsm.streams.purge("EVENTS"); // it was stored anew just now
  assert.deepEqual(await twice(), [0, 1]);
  assert.deepEqual(await names(), []);
  assert.ok(done);
});

test("an object whose event was stored again, or late, stays as long as that one", async () => {
  await using nats = await startNats({ maxPayload: 100_000 });
  await using p = await startTestPipeline(nats);
  const { broker } = p;
  const store = createIngress(broker.nc, { stream: "EVENTS", objects: broker.objects });
  const read = makeTestEvent(Read.type, "late", { n: 1, text: "x".repeat(300_000) });
  const other = makeTestEvent(Read.type, "other", { n: 1, text: "x" }, { subject: "late" });
  await store([read]);
  // Whoever writes an entry of his own into the bucket takes nothing of others with it.
  const forged = {
    name: "x",
    nuid: ">",
    size: 1,
    chunks: 1,
    metadata: { "eddy.subject": "events.a.b" },
  };
  await broker.js.publish("$O.EVENTS_data.M.eA", JSON.stringify(forged));
  await broker.js.publish("$O.EVENTS_data.M.eQ", "no entry");
  const head = await broker.jsm.streams.getMessage("EVENTS", { seq: 1 });
  await store([other]);
  await broker.jsm.streams.purge("EVENTS", { seq: 2 });
  // The same message again, long after its object.
  const { natsSubject, headers, data } = {
    natsSubject: head?.subject ?? "",
    headers: head?.header,
    data: head?.data,
  };
  headers?.delete("Nats-Msg-Id");
  await broker.js.publish(natsSubject, data, headers === undefined ? {} : { headers });
  const sweep = createSweep(broker, 0);
  const twice = async () => [await sweep.run(Date.now()), await sweep.run(Date.now())];
  assert.deepEqual(await twice(), [0, 0]);
  const { objects } = await broker.objects.list();
  assert.equal(objects.length, 1);
  assert.ok(await broker.objects.chunkStoredMs(objects[0]?.nuid ?? ""));
  await broker.jsm.streams.purge("EVENTS");
  await store([other]);
  assert.deepEqual(await twice(), [0, 1]);
});
