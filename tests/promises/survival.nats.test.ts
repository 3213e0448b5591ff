// What the pipeline survives without losing or doubling anything, in one process on a real server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, on, projection } from "../../runtime/authoring/index.ts";
import type { Broker } from "../../runtime/broker/index.ts";
import { eventually } from "../support/eventually.ts";
import { startNats } from "../support/nats.ts";
import { countSubjects, makeTestEvent, produce, startTestPipeline } from "../support/pipeline.ts";

const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
const note = on(Placed, { emits: [Noted], start: "first" }, async (e, ctx) => {
  ctx.emit(Noted, { n: e.data.n });
});
const placed = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) =>
    makeTestEvent(
      Placed.type,
      `e${from + i}`,
      { n: from + i },
      { subject: `key-${(from + i) % 20}` },
    ),
  );

/** Sends again what was not answered, as a producer does: the repeats are recognised. */
async function produceAtLast(broker: Broker, events: ReturnType<typeof placed>): Promise<void> {
  await eventually(
    async () => {
      await produce(broker, events);
      return true;
    },
    { timeoutMs: 15_000 },
  );
}

/** The numbers that the emitted events carry, sorted. */
async function notedNumbers(broker: Broker): Promise<number[]> {
  const found: number[] = [];
  const info = await broker.jsm.streams.info("EVENTS");
  for (let seq = info.state.first_seq; seq <= info.state.last_seq; seq++) {
    const message = await broker.jsm.streams.getMessage("EVENTS", { seq });
    if (message?.subject.startsWith("events.com.acme.order.noted.")) {
      found.push(message.json<{ n: number }>().n);
    }
  }
  return found.toSorted((a, b) => a - b);
}

const numbers = (to: number) => Array.from({ length: to }, (_, n) => n);

test("a consumer deleted while it runs is made again within seconds, and nothing is lost or doubled", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await produce(p.broker, placed(0, 100));
  await p.settled();
  await p.broker.jsm.consumers.delete("EVENTS", "test==note");
  await produce(p.broker, placed(100, 200));
  await eventually(async () => (await p.settled()).get("note")?.handled === 200, {
    timeoutMs: 10_000,
  });
  assert.deepEqual(await notedNumbers(p.broker), numbers(200));
  assert.ok(
    p.facts.some((fact) => fact.kind === "trouble" && fact.code === "EDDY_CONSUMER_BROKEN"),
  );
  assert.ok(p.facts.some((fact) => fact.kind === "mended" && fact.code === "EDDY_CONSUMER_BROKEN"));
});

test("the server killed in the middle of a stream and started again costs no event and doubles no effect", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await produce(p.broker, placed(0, 300));
  await nats.kill();
  await nats.restart();
  await produceAtLast(p.broker, placed(300, 400));
  const handled = await eventually(
    async () => {
      const row = (await p.settled()).get("note");
      return row !== undefined && row.handled >= 400 ? row : undefined;
    },
    { timeoutMs: 20_000 },
  );
  // The producer itself may have had to send again what was not answered: those are repeats.
  assert.equal(handled.handled, 400);
  assert.deepEqual(await notedNumbers(p.broker), numbers(400));
});

test("a stream deleted and made anew is noticed, and its events are handled from the first", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await produce(p.broker, placed(0, 20));
  await p.settled();
  await p.broker.jsm.streams.delete("EVENTS");
  await p.running("note");
  await produceAtLast(p.broker, placed(0, 30));
  await eventually(async () => (await p.settled()).get("note")?.handled === 30, {
    timeoutMs: 15_000,
  });
  assert.deepEqual(await notedNumbers(p.broker), numbers(30));
});

test("the identity index lost with all its blocks is rebuilt from the log, and repeats are still repeats", async () => {
  await using nats = await startNats();
  await using first = await startTestPipeline(nats);
  await first.run({ note });
  await produce(first.broker, placed(0, 200));
  await first.settled();
  await first.stop(); // writes its block
  const nc = await nats.connect();
  const { jetstreamManager } = await import("@nats-io/jetstream");
  const jsm = await jetstreamManager(nc);
  assert.equal((await jsm.streams.info("IDENTITIES")).state.messages, 1);
  await jsm.streams.purge("IDENTITIES");
  await using second = await startTestPipeline(nats);
  await second.run({ note });
  await produce(second.broker, placed(0, 210));
  const row = await eventually(async () => {
    const now = (await second.settled()).get("note");
    return now?.handled === 210 ? now : undefined;
  });
  assert.equal(row.duplicate, 200);
  assert.deepEqual(await notedNumbers(second.broker), numbers(210));
});

test("a block that does not decode costs a re-read, not a verdict", async () => {
  await using nats = await startNats();
  await using first = await startTestPipeline(nats);
  await first.run({ note });
  await produce(first.broker, placed(0, 50));
  await first.settled();
  await first.broker.js.publish("identities.test.EVENTS", "garbage");
  await first.stop();
  await using second = await startTestPipeline(nats);
  await second.run({ note });
  await produce(second.broker, placed(0, 60));
  await eventually(async () => (await second.settled()).get("note")?.handled === 60);
  assert.equal((await second.settled()).get("note")?.duplicate, 50);
});

test("the head is cut below every floor only: what a handler far behind has not seen stays", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { retentionMs: 1 });
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const behind = on(Placed, { start: "first", deadline: "1m" }, async () => {
    await gate;
  });
  await p.run({ note, behind });
  await produce(p.broker, placed(0, 300));
  await eventually(async () => {
    const { readHandlers } = await import("../../runtime/pipeline/index.ts");
    return (await readHandlers(p.broker)).find((row) => row.name === "note")?.handled === 300;
  });
  await p.pipeline.cutHead();
  assert.equal((await p.broker.jsm.streams.info("EVENTS")).state.first_seq, 1);
  open();
  await p.settled();
  const last = (await p.broker.jsm.streams.info("EVENTS")).state.last_seq;
  await eventually(async () => {
    await p.pipeline.cutHead();
    return (await p.broker.jsm.streams.info("EVENTS")).state.first_seq > 300;
  });
  const rows = await p.settled();
  assert.equal(rows.get("behind")?.handled, 300);
  assert.equal(rows.get("note")?.handled, 300);
  assert.ok((await p.broker.jsm.streams.info("EVENTS")).state.last_seq >= last);
  // What is left suffices to go on: ledgers are younger than what they cover.
  await p.stop();
  await using q = await startTestPipeline(nats);
  await q.run({ note, behind });
  await produce(q.broker, placed(300, 320));
  assert.equal((await q.settled()).get("note")?.handled, 320);
});

test("a home stream that is full refuses and says so; with more room everything goes on, once", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { homeMaxBytes: 200_000 });
  await p.run({ note });
  let stored = 0;
  const refusals: string[] = [];
  while (refusals.length === 0) {
    await produce(p.broker, placed(stored, stored + 20)).then(
      () => {
        stored += 20;
      },
      (error: Error) => refusals.push(error.message),
    );
  }
  assert.match(refusals.join(), /maximum bytes exceeded/);
  await p.broker.jsm.streams.update("EVENTS", { max_bytes: 50_000_000 });
  await produce(p.broker, placed(stored, stored + 20)); // some of them were stored by the refused round: repeats
  await eventually(async () => (await p.settled()).get("note")?.handled === stored + 20, {
    timeoutMs: 15_000,
  });
  assert.deepEqual(await notedNumbers(p.broker), numbers(stored + 20));
});

test("a handler that is removed and comes back goes on where it was", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await produce(p.broker, placed(0, 30));
  await p.settled();
  await p.run({});
  await produce(p.broker, placed(30, 60));
  await p.run({ note }, "v2");
  await eventually(async () => (await p.settled()).get("note")?.handled === 60);
  assert.deepEqual(await notedNumbers(p.broker), numbers(60));
});

test("a new reaction starts at now, a new projection at the first event", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await produce(p.broker, placed(0, 30));
  await p.settled();
  const seen: number[] = [];
  const fresh = on(Placed, (e) => void seen.push(e.data.n));
  const latest = projection("latest", {
    from: [Placed],
    key: (e) => String(e.data.n % 3),
    apply: (_, e) => e.data,
  });
  await p.run({ note, fresh, latest });
  await produce(p.broker, placed(30, 33));
  const rows = await p.settled();
  assert.deepEqual(seen, [30, 31, 32]);
  assert.equal(rows.get("latest")?.handled, 33);
  assert.equal(await countSubjects(p.broker, "KV_latest", "$KV.latest.*"), 3);
});

test("start takes a Date: events stored since then are handled", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await produce(p.broker, placed(0, 10));
  await p.settled();
  await new Promise((resolve) => setTimeout(resolve, 20)); // the server's clock has to pass the border
  const border = new Date();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await produce(p.broker, placed(10, 15));
  const seen: number[] = [];
  await p.run({ note, since: on(Placed, { start: border }, (e) => void seen.push(e.data.n)) });
  await eventually(() => seen.length === 5);
  assert.deepEqual(seen.toSorted(), [10, 11, 12, 13, 14]);
});
