import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import { countSubjects } from "../../tests/support/pipeline.ts";
import {
  type BatchMessage,
  type Broker,
  connectBroker,
  ensureStream,
  homeStreamConfig,
  readMessage,
  storeBatch,
} from "../broker/index.ts";
import { publishAhead } from "./ahead.ts";
import { createCommitter } from "./commit.ts";
import { createFloor } from "./ledger/floor.ts";
import { holdLedger } from "./ledger/ledger.ts";
import { takeOver } from "./ledger/takeover.ts";

const place = { stream: "EVENTS", ledger: "ledger.test.h" };

async function start(url: string) {
  const broker = await connectBroker(
    { servers: [url], name: "test", timeoutMs: 5_000 },
    { app: "test", home: "EVENTS" },
  );
  await ensureStream(broker.jsm, homeStreamConfig("EVENTS", 50_000_000));
  const take = async (instance: string) => {
    const earlier = async () => undefined;
    const delivered = async () => undefined;
    const start = "first" as const;
    const taking = { place, streams: ["EVENTS"], instance, start, earlier, delivered };
    const { record, seq } = await takeOver(broker, taking);
    const lost = { yes: false };
    const onLost = () => Object.assign(lost, { yes: true });
    const floor = createFloor({ floor: 0, above: [] });
    return {
      seq,
      lost,
      ledger: holdLedger({ place, record, seq, onLost, onStored() {} }, [floor]),
    };
  };
  return { broker, take, [Symbol.asyncDispose]: () => broker.close() };
}

function commit(broker: Broker) {
  const committer = createCommitter(
    broker,
    "EVENTS",
    () => {},
    () => {},
  );
  return { ...committer, [Symbol.dispose]: () => committer.stop() };
}

function effect(id: string): BatchMessage {
  const identity = { source: "/test/h", id };
  const data = Buffer.from(`{"n":"${id}"}`);
  return { natsSubject: "events.t.k", headerLines: `ce-id: ${id}\r\n`, data, identity };
}

test("A1: what a record carries and its holder did not publish is there once after the take-over", async () => {
  await using nats = await startNats();
  await using s = await start(nats.url);
  const { ledger } = await s.take("one");
  const messages = [effect("1"), effect("2"), effect("3")];
  const stored = await storeBatch(s.broker.nc, [ledger.nextRecord({ since: 0, messages })], 5_000);
  assert.ok(stored.kind === "stored");
  // It died after the first of the three.
  await publishAhead(s.broker, place, messages.slice(0, 1), stored.lastSeq, 5_000);
  await s.take("two");
  assert.equal(await countSubjects(s.broker, "EVENTS", "events.t.k"), 3);
  await s.take("three"); // the last one died before it wrote another record
  assert.equal(await countSubjects(s.broker, "EVENTS", "events.t.k"), 3);
});

test("A2: what a zombie sends after it lost its ledger is refused", async () => {
  await using nats = await startNats();
  await using s = await start(nats.url);
  const { ledger } = await s.take("zombie");
  const messages = [effect("1")];
  const stored = await storeBatch(s.broker.nc, [ledger.nextRecord({ since: 0, messages })], 5_000);
  assert.ok(stored.kind === "stored");
  await s.take("successor");
  const late = await publishAhead(s.broker, place, messages, stored.lastSeq, 5_000);
  assert.deepEqual(late, [{ kind: "stale" }]);
  assert.equal(await countSubjects(s.broker, "EVENTS", "events.t.k"), 1);
});

test("K4: a lone event with one effect pays for no batch, and several at once still do", async () => {
  await using nats = await startNats();
  await using s = await start(nats.url);
  const { ledger } = await s.take("one");
  using committer = commit(s.broker);
  const submit = async (ids: readonly string[]) => {
    let done = 0;
    for (const id of ids) {
      committer.submit({
        ledger,
        slot: undefined,
        stream: undefined,
        move: { from: "new", to: "handled" },
        messages: [effect(id)],
        onStored: () => void done++,
        onRefused: (why) => assert.fail(why),
      });
    }
    await eventually(() => done === ids.length);
    const last = await readMessage(s.broker.nc, "EVENTS", { last_by_subj: "events.t.k" });
    return Buffer.from(last?.headers ?? []).toString();
  };
  assert.doesNotMatch(await submit(["1"]), /Nats-Batch-Id/);
  const many = Array.from({ length: 100 }, (_, n) => `m${n}`);
  assert.match(await submit(many), /Nats-Batch-Id/);
  assert.equal(await countSubjects(s.broker, "EVENTS", "events.t.k"), 101);
  assert.equal(ledger.counts.handled, 101);
});

test("an effect of a small group that the server refuses is refused alone, and no record counts it", async () => {
  await using nats = await startNats();
  await using s = await start(nats.url);
  const { ledger } = await s.take("one");
  using committer = commit(s.broker);
  const outcomes: string[] = [];
  // An expectation that never holds.
  const bad = {
    ...effect("bad"),
    natsSubject: "events.t.bad",
    headerLines: "Nats-Expected-Last-Msg-Id: none\r\n",
  };
  for (const message of [effect("1"), bad, effect("2")]) {
    committer.submit({
      ledger,
      slot: undefined,
      stream: undefined,
      move: { from: "new", to: "handled" },
      messages: [message],
      onStored: () => outcomes.push("stored"),
      onRefused: () => outcomes.push("refused"),
    });
  }
  await eventually(() => outcomes.length === 3);
  assert.deepEqual(outcomes.toSorted(), ["refused", "stored", "stored"]);
  assert.equal(await countSubjects(s.broker, "EVENTS", "events.t.k"), 2);
  assert.equal(ledger.counts.handled, 2);
});
