// The pipeline on a real server, in this process: what each promise means for one handler.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import {
  countSubjects,
  makeTestEvent,
  produce,
  startTestPipeline,
} from "../../tests/support/pipeline.ts";
import { event, on, Permanent, projection } from "../authoring/index.ts";
import { listLetters, replayLetter } from "./index.ts";

const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));

const note = on(Placed, { emits: [Noted], start: "first" }, (e, ctx) => {
  ctx.emit(Noted, { n: e.data.n });
});

const placed = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) =>
    makeTestEvent(Placed.type, `e${from + i}`, { n: from + i }),
  );

test("P1: every event is handled once, and its effect is stored once", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await produce(p.broker, placed(0, 500));
  const rows = await p.settled();
  assert.equal(rows.get("note")?.handled, 500);
  assert.equal(await countSubjects(p.broker, "EVENTS", "events.com.acme.order.noted.*"), 500);
});

test("P2: a producer's repeat is a duplicate, before and after a restart", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await produce(p.broker, placed(0, 50));
  await produce(p.broker, placed(0, 50));
  const before = (await p.settled()).get("note");
  assert.deepEqual([before?.handled, before?.duplicate], [50, 50]);
  await p.stop();
  await using q = await startTestPipeline(nats);
  await q.run({ note });
  await produce(q.broker, placed(0, 60));
  const after = (await q.settled()).get("note");
  assert.deepEqual([after?.handled, after?.duplicate, after?.delivered], [60, 100, 160]);
  assert.equal(await countSubjects(q.broker, "EVENTS", "events.com.acme.order.noted.*"), 60);
});

test("a failing event is retried through its backoff subject and succeeds on attempt 3", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [300, 300, 300] });
  const attempts: number[] = [];
  const flaky = on(Placed, { emits: [Noted], start: "first" }, async (e, ctx) => {
    attempts.push(ctx.attempt);
    ctx.emit(Noted, { n: e.data.n });
    if (ctx.attempt < 3) throw new Error("not yet");
  });
  await p.run({ flaky });
  await produce(p.broker, placed(0, 1));
  await eventually(() => attempts.length === 3, { timeoutMs: 10_000 });
  const row = (await p.settled()).get("flaky");
  assert.deepEqual(attempts, [1, 2, 3]);
  assert.deepEqual([row?.delivered, row?.handled, row?.retrying, row?.dead], [1, 1, 0, 0]);
  assert.equal(await countSubjects(p.broker, "EVENTS", "events.com.acme.order.noted.*"), 1);
  await eventually(async () => (await p.broker.jsm.streams.info("RETRY")).state.messages === 0);
});

test("an event that runs out of attempts is a dead letter; given back twice after a fix it has one effect", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [250] });
  const broken = on(Placed, { emits: [Noted], start: "first" }, () => {
    throw new Error("broken on purpose");
  });
  await p.run({ note: broken });
  await produce(p.broker, placed(0, 1));
  const letters = await eventually(async () => {
    const found = await listLetters(p.broker);
    return found.length > 0 ? found : undefined;
  });
  const [letter] = letters;
  assert.ok(letter);
  assert.equal(letter.reason, "attempts");
  assert.equal(letter.attempts.length, 2);
  assert.equal(letter.error.message, "broken on purpose");
  assert.equal((await p.settled()).get("note")?.dead, 1);

  await p.run({ note }, "v2");
  assert.equal(await replayLetter(p.broker, letter.letter), "given back");
  assert.equal(await replayLetter(p.broker, letter.letter), "given back");
  await eventually(async () => (await listLetters(p.broker)).length === 0);
  assert.equal(await replayLetter(p.broker, letter.letter), "gone");
  await eventually(async () => (await p.broker.jsm.streams.info("RETRY")).state.messages === 0);
  const row = (await p.settled()).get("note");
  assert.deepEqual([row?.delivered, row?.handled, row?.dead], [1, 1, 0]);
  assert.equal(await countSubjects(p.broker, "EVENTS", "events.com.acme.order.noted.*"), 1);
});

test("a Permanent error, a broken schema and a message that is no event are dead at once", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const refuse = on(Placed, { start: "first" }, () => {
    throw new Permanent("never");
  });
  await p.run({ refuse });
  await produce(p.broker, [...placed(0, 1), makeTestEvent(Placed.type, "bad", { n: "twelve" })]);
  p.broker.nc.publish("events.com.acme.order.placed.k", "garbage");
  const row = await eventually(async () => {
    const now = (await p.settled()).get("refuse");
    return now?.delivered === 3 ? now : undefined;
  });
  assert.equal(row?.dead, 3);
  const reasons = (await listLetters(p.broker)).map((l) => l.reason);
  assert.deepEqual(reasons.toSorted(), ["permanent", "schema", "undecodable"]);
});

test("a projection keeps the last state of each key, and a null removes its entry", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const counts = projection("counts", {
    from: [Placed],
    state: Type.Object({ sum: Type.Integer() }),
    key: (e) => `key-${e.data.n % 10}`,
    apply: (state, e) => (e.data.n === 99 ? null : { sum: (state?.sum ?? 0) + e.data.n }),
  });
  await p.run({ counts });
  await produce(p.broker, placed(0, 100));
  const row = (await p.settled()).get("counts");
  assert.equal(row?.handled, 100);
  assert.equal(await countSubjects(p.broker, "KV_counts", "$KV.counts.*"), 10);
  const last = await p.broker.jsm.streams.getMessage("KV_counts", {
    last_by_subj: "$KV.counts.key-3",
  });
  assert.deepEqual(last?.json(), { sum: 3 + 13 + 23 + 33 + 43 + 53 + 63 + 73 + 83 + 93 });
  const gone = await p.broker.jsm.streams.getMessage("KV_counts", {
    last_by_subj: "$KV.counts.key-9",
  });
  assert.equal(gone?.header.get("KV-Operation"), "DEL");
});
