import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { eventually } from "../../../tests/support/eventually.ts";
import { startNats } from "../../../tests/support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../../../tests/support/pipeline.ts";
import { event, Permanent, projection } from "../../authoring/index.ts";
import { type Broker, readAll } from "../../broker/index.ts";
import { listLetters } from "../retry/letters.ts";

const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));

/** Sums of numbers below a key; `from` leaves out smaller numbers, and `bad` cannot be folded. */
function sums(unit: string, { from = 0, bad = -1, auto = false } = {}) {
  return projection("sums", {
    from: [Placed],
    key: (e) => e.subject ?? "",
    where: { data: { n: [{ numeric: [">=", from] }] } },
    retry: [],
    ...(auto ? { rebuild: "auto" as const } : {}),
    state: Type.Object({ sum: Type.Integer(), unit: Type.Literal(unit) }), // what a function takes from outside of itself is no part of its text
    apply: (state, { data: { n } }) => {
      if (n === bad) throw new Permanent("a bad number");
      return { sum: (state?.sum ?? 0) + n, unit };
    },
  });
}

const placed = (n: number, key = `k${n % 10}`) =>
  makeTestEvent(Placed.type, `e${n}`, { n }, { subject: key });
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);

async function entriesOf(broker: Broker): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  await readAll(broker, "KV_sums", "$KV.sums.>", ({ subject, data }) => {
    const text = new TextDecoder().decode(data);
    found.set(subject.slice("$KV.sums.".length), text === "" ? null : JSON.parse(text));
  });
  return found;
}

/** What lies beside the entries and the ledger, by its kind. */
async function beside(broker: Broker): Promise<string[]> {
  const { state } = await broker.jsm.streams.info("KV_sums", { subjects_filter: "cursor.sums.>" });
  return Object.keys(state.subjects ?? {}).filter((subject) => !subject.endsWith(".rebuild"));
}

function folded(unit: string, all: readonly number[], keys: (n: number) => string) {
  const sums = new Map<string, number>();
  for (const n of all) sums.set(keys(n), (sums.get(keys(n)) ?? 0) + n);
  return new Map([...sums].map(([key, sum]) => [key, { sum, unit }]));
}

test("R1: the entries become what the log gives, and who watches is told of what differs and of nothing else", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ sums: sums("eur") });
  await produce(
    p.broker,
    [...numbers(1, 50), 1, 7].map((n) => placed(n)),
  ); // two repeats
  const before = await p.settled();

  await p.run({ sums: sums("eur", { from: 41 }) }); // nothing of it has been folded by that
  assert.equal((await p.settled()).get("sums")?.outdated, true);
  assert.ok(p.facts.some((fact) => "code" in fact && fact.code === "EDDY_PROJECTION_CHANGED"));
  const { state } = await p.broker.jsm.streams.info("KV_sums");
  const rebuilt = await p.pipeline.rebuild("sums", {});
  assert.deepEqual([rebuilt.events, rebuilt.entries, rebuilt.changed], [10, 10, 10]);
  assert.deepEqual(
    await entriesOf(p.broker),
    folded("eur", numbers(41, 50), (n) => `k${n % 10}`),
  );
  assert.equal((await p.settled()).get("sums")?.outdated, undefined);
  assert.deepEqual(counted(await p.settled()), counted(before));

  const again = await p.pipeline.rebuild("sums", {});
  assert.equal(again.changed, 0);
  const written = [];
  await readAll(p.broker, "KV_sums", "$KV.sums.>", ({ seq }) => written.push(seq > state.last_seq));
  assert.equal(written.length, 10);
  await produce(p.broker, [placed(60)]);
  await p.settled();
  assert.deepEqual((await entriesOf(p.broker)).get("k0"), { sum: 50 + 60, unit: "eur" });
  assert.deepEqual(await beside(p.broker), []);
});

function counted(rows: ReadonlyMap<string, object>) {
  const { delivered, handled, duplicate, dead } = Object(rows.get("sums"));
  return { delivered, handled, duplicate, dead };
}

test("R2: more entries than one batch holds change in one step too, vanished ones go, and nothing is left beside them", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const each = (n: number) => `k${n}`;
  await p.run({ sums: sums("eur") });
  await produce(
    p.broker,
    numbers(1, 2_000).map((n) => placed(n, each(n))),
  );
  await p.settled();
  await p.run({ sums: sums("usd", { from: 501 }) });
  await p.pipeline.rebuild("sums", {});
  const entries = await entriesOf(p.broker);
  for (const n of numbers(1, 500)) assert.equal(entries.get(each(n)), null);
  const left = new Map([...entries].filter(([, value]) => value !== null));
  assert.deepEqual(left, folded("usd", numbers(501, 2_000), each));
  assert.deepEqual(await beside(p.broker), []);
  await p.settled();
});

test("R1: what a version could not fold is mended by one that can, and its letter goes; what the new one cannot fold ends the rebuild", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ sums: sums("eur", { bad: 5 }) });
  await produce(
    p.broker,
    numbers(1, 20).map((n) => placed(n)),
  );
  assert.equal((await p.settled()).get("sums")?.dead, 1);
  const before = await entriesOf(p.broker);

  await p.run({ sums: sums("usd", { bad: 7 }) });
  await assert.rejects(() => p.pipeline.rebuild("sums", {}), { code: "EDDY_REBUILD_FAILED" });
  assert.deepEqual(await entriesOf(p.broker), before);

  await p.run({ sums: sums("usd") });
  await p.pipeline.rebuild("sums", {});
  assert.deepEqual(
    await entriesOf(p.broker),
    folded("usd", numbers(1, 20), (n) => `k${n % 10}`),
  );
  assert.deepEqual(counted(await p.settled()), {
    delivered: 20,
    handled: 20,
    duplicate: 0,
    dead: 0,
  });
  assert.deepEqual(await listLetters(p.broker), []);
});

test("where the head of the log is gone it says so; from a position that is there, entries that nothing touches stay", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ sums: sums("eur") });
  await produce(
    p.broker,
    numbers(1, 10).map((n) => placed(n, `k${n}`)),
  );
  await p.settled();
  await p.broker.jsm.streams.purge("EVENTS", { seq: 6 });
  await assert.rejects(() => p.pipeline.rebuild("sums", {}), { code: "EDDY_REBUILD_HEAD_GONE" });
  const early = { from: { stream: "EVENTS", seq: 3 } };
  await assert.rejects(() => p.pipeline.rebuild("sums", early), { code: "EDDY_REBUILD_HEAD_GONE" });
  const other = { from: { stream: "OTHER", seq: 6 } };
  await assert.rejects(() => p.pipeline.rebuild("sums", other), { code: "EDDY_REBUILD_FROM" });

  await p.run({ sums: sums("usd") });
  await p.pipeline.rebuild("sums", { from: { stream: "EVENTS", seq: 6 } });
  const units = [...(await entriesOf(p.broker)).values()].map((value) => Object(value).unit);
  assert.equal(
    units.filter((unit) => unit === "eur").length + units.filter((unit) => unit === "usd").length,
    10,
  );
  assert.ok(units.includes("eur") && units.includes("usd"));
});

test('rebuild: "auto" takes a new version over once its entries are rebuilt, after a reload and after a restart', async () => {
  await using nats = await startNats();
  const auto = (unit: string) => sums(unit, { auto: true });
  await using p = await startTestPipeline(nats);
  await p.run({ sums: auto("eur") });
  await produce(
    p.broker,
    numbers(1, 30).map((n) => placed(n)),
  );
  await p.settled();
  await p.run({ sums: auto("usd") }, "v2");
  await untilUnit(p.broker, "usd");
  await p.stop();
  await using again = await startTestPipeline(nats);
  await again.run({ sums: auto("chf") }, "v3");
  await produce(again.broker, [placed(31)]);
  await untilUnit(again.broker, "chf");
  await again.settled();
  assert.deepEqual(
    await entriesOf(again.broker),
    folded("chf", numbers(1, 31), (n) => `k${n % 10}`),
  );
});

async function untilUnit(broker: Broker, unit: string): Promise<void> {
  await eventually(
    async () => {
      const units = new Set(
        [...(await entriesOf(broker)).values()].map((value) => Object(value).unit),
      );
      assert.deepEqual([...units], [unit]);
      return true;
    },
    { timeoutMs: 15_000 },
  );
}
