// Breaks what the runtime has stored, on purpose, and sees each break named.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { eventually } from "../../../tests/support/eventually.ts";
import { startNats } from "../../../tests/support/nats.ts";
import {
  makeTestEvent,
  produce,
  startTestPipeline,
  type TestPipeline,
} from "../../../tests/support/pipeline.ts";
import { event, on, Permanent, projection } from "../../authoring/index.ts";
import { type Broker, readMessage, removeMessage, storeBatch } from "../../broker/index.ts";
import { placeNamed } from "../ledger/place.ts";
import { decodeRecord, encodeRecord } from "../ledger/record.ts";
import { discardLetter, listLetters } from "../retry/letters.ts";
import { type Reconciled, reconcile } from "./reconcile.ts";

const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
const note = on(Placed, { emits: [Noted], start: "first", retry: ["1h"] }, (e, ctx) => {
  if (e.data.n % 50 === 7) throw new Permanent("never");
  if (e.data.n % 50 === 8) throw new Error("later");
  ctx.emit(Noted, { n: e.data.n });
});
const orders = projection("orders", {
  from: [Placed, Noted],
  key: (e) => `k${e.data.n % 10}`,
  apply: (_, e) => e.data,
});
const placed = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) =>
    makeTestEvent(Placed.type, `e${from + i}`, { n: from + i }),
  );

const read = async (broker: Broker, ...only: string[]) =>
  new Map((await reconcile(broker, only, () => {})).map((row) => [row.name, row]));
const findings = (rows: ReadonlyMap<string, Reconciled>) =>
  [...rows.values()].flatMap((row) =>
    row.findings.map(({ kind, what, id }) => [row.name, kind, what, id].filter(Boolean).join(" ")),
  );

async function completed(p: TestPipeline, handler: string, delivered: number): Promise<void> {
  await eventually(
    async () => {
      const row = (await read(p.broker)).get(handler);
      assert.deepEqual([row?.delivered, row?.lag], [delivered, 0]);
      return true;
    },
    { timeoutMs: 20_000 },
  );
}

test("what is whole is found whole: repeats, retries, letters, discards, a restart and a running runtime", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note, orders });
  await produce(p.broker, placed(0, 200));
  assert.deepEqual(findings(await read(p.broker)), []); // while it runs
  await produce(p.broker, placed(190, 200));
  await completed(p, "note", 210);
  await completed(p, "orders", 402);
  const [letter] = await listLetters(p.broker);
  assert.equal(await discardLetter(p.broker, letter?.letter ?? 0), "discarded");
  const rows = await read(p.broker);
  assert.deepEqual(findings(rows), []);
  const { events, handled, duplicate, retrying, dead, waiting, letters, effects } =
    rows.get("note") ?? assert.fail();
  assert.deepEqual(
    { events, handled, duplicate, retrying, dead, waiting, letters, effects },
    {
      events: 210,
      handled: 192,
      duplicate: 10,
      retrying: 4,
      dead: 4,
      waiting: 4,
      letters: 3,
      effects: 192,
    },
  );
  assert.equal(rows.get("orders")?.entries, 10);
  await p.stop();
  await using q = await startTestPipeline(nats);
  await q.run({ note, orders });
  await produce(q.broker, placed(200, 207));
  await completed(q, "note", 217);
  assert.deepEqual(findings(await read(q.broker)), []);
  assert.deepEqual([...(await read(q.broker, "note")).keys()], ["note"]);
  await assert.rejects(read(q.broker, "nobody"), { code: "EDDY_NOT_FOUND" });
});

test("each break is named: a letter, a schedule, a doubled and a causeless effect, a passed event, a count", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note, orders });
  await produce(p.broker, placed(0, 100));
  await completed(p, "note", 100);
  await completed(p, "orders", 196);
  await p.pipeline.apply([]);
  const { broker } = p;

  const letter = (await listLetters(broker)).find(({ id }) => id === "e57")?.letter ?? 0;
  await removeMessage(broker.nc, "DEAD", letter);
  const waiting = placed(8, 9)[0]?.id;
  const { state } = await broker.jsm.streams.info("RETRY", { subjects_filter: "retry.>" });
  const [schedule] = Object.keys(state.subjects ?? {}).sort();
  await broker.jsm.streams.purge("RETRY", { filter: schedule ?? "" });

  const effect = await readMessage(broker.nc, "EVENTS", {
    last_by_subj: "events.com.acme.order.noted.e3",
  });
  assert.ok(effect?.headers);
  const lines = Buffer.from(effect.headers).toString("latin1").split("\r\n");
  const kept = lines.filter((line) => /^(?:ce-|content-type)/.test(line)).join("\r\n");
  const again = { natsSubject: effect.natsSubject, data: effect.data };
  await storeBatch(broker.nc, [{ ...again, headerLines: `${kept}\r\n` }], 5_000);
  const strange = kept.replace(/ce-id: .*/, "ce-id: AAAAAAAAAAAAAAAAAAAAAAAA-0");
  await storeBatch(broker.nc, [{ ...again, headerLines: `${strange}\r\n` }], 5_000);

  await produce(broker, placed(100, 102));
  const place = placeNamed("reaction", "note", broker);
  const last = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger });
  const record = decodeRecord(last?.data ?? new Uint8Array());
  const [input] = record.inputs;
  assert.ok(last && input);
  const info = await broker.jsm.streams.info("EVENTS");
  const counts = { ...record.counts, delivered: record.counts.delivered + 1 };
  const tampered = { ...record, counts, inputs: [{ ...input, floor: info.state.last_seq }] };
  await storeBatch(
    broker.nc,
    [{ natsSubject: place.ledger, headerLines: "", data: encodeRecord(tampered) }],
    5_000,
  );

  const rows = await read(broker, "note");
  const found = rows.get("note")?.findings ?? [];
  assert.deepEqual(findings(rows).sort(), [
    "note causeless AAAAAAAAAAAAAAAAAAAAAAAA-0",
    "note counts",
    `note doubled ${/ce-id: (\S+)/.exec(kept)?.[1]}`,
    "note missing letter e57",
    "note missing outcome e100",
    "note missing outcome e101",
    `note missing retry ${waiting}`,
  ]);
  assert.ok(found.every(({ source, kind }) => kind === "counts" || source !== undefined));
  const projected = (await read(broker, "orders")).get("orders");
  assert.deepEqual([projected?.findings, projected?.lag], [[], 4]);
});

test("what was cut from the head is said as such, and is not missing", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note, orders });
  await produce(p.broker, placed(0, 100));
  await completed(p, "note", 100);
  await p.broker.jsm.streams.purge("EVENTS", { seq: 90 });
  await produce(p.broker, placed(100, 120));
  await completed(p, "note", 120);
  const rows = await read(p.broker);
  assert.deepEqual(findings(rows), []);
  assert.match(rows.get("note")?.notes.join() ?? "", /positions before 90 were cut from the head/);
});
