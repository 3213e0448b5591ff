import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import {
  type BatchMessage,
  connectBroker,
  ensureStream,
  homeStreamConfig,
  streamInfo,
} from "../broker/index.ts";
import { createCommitter } from "./commit.ts";
import { createFloor } from "./ledger/floor.ts";
import { holdLedger } from "./ledger/ledger.ts";
import { takeOver } from "./ledger/takeover.ts";

async function startCommitter(url: string) {
  const broker = await connectBroker(
    { servers: [url], name: "test", timeoutMs: 5_000 },
    { app: "test", home: "EVENTS" },
  );
  await ensureStream(broker.jsm, homeStreamConfig("EVENTS", 50_000_000));
  const committer = createCommitter(
    broker,
    "EVENTS",
    () => {},
    () => {},
  );
  const holder = async (name: string, instance: string) => {
    const place = { stream: "EVENTS", ledger: `ledger.test.${name}` };
    const { record, seq } = await takeOver(broker, {
      place,
      streams: ["EVENTS"],
      instance,
      start: "first",
      earlier: async () => undefined,
      delivered: async () => undefined,
    });
    const lost = { yes: false };
    const ledger = holdLedger(
      { place, record, seq, onStored: () => {}, onLost: () => Object.assign(lost, { yes: true }) },
      [createFloor({ floor: 0, above: [] })],
    );
    const effect = { natsSubject: `events.t.${name}`, headerLines: "", data: new Uint8Array(1) };
    const submit = (stored: () => void = () => {}, messages: readonly BatchMessage[] = [effect]) =>
      committer.submit({
        ledger,
        slot: undefined,
        stream: undefined,
        move: { from: "new", to: "handled" },
        messages,
        onStored: stored,
        onRefused: (why) => assert.fail(why),
      });
    return { ledger, submit, lost };
  };
  return {
    broker,
    committer,
    holder,
    async [Symbol.asyncDispose]() {
      committer.stop();
      await broker.close();
    },
  };
}

test("what was submitted is settled while others submit without end", async () => {
  await using nats = await startNats();
  await using c = await startCommitter(nats.url);
  const busy = await c.holder("busy", "one");
  const quiet = await c.holder("quiet", "one");
  let going = true;
  const again = () => going && busy.submit(again);
  again();
  busy.submit();
  let stored = false;
  quiet.submit(() => {
    stored = true;
  });
  await Promise.race([
    c.committer.settled(),
    new Promise((_, reject) => setTimeout(reject, 3_000, new Error("not settled in 3 s")).unref()),
  ]);
  going = false;
  assert.ok(stored);
});

test("many ledgers without effects: a record stands for several events, and none of them waits long", async () => {
  await using nats = await startNats();
  await using c = await startCommitter(nats.url);
  const holders = await Promise.all(
    Array.from({ length: 40 }, (_, n) => c.holder(`many${n}`, "one")),
  );
  const before = (await streamInfo(c.broker.jsm, "EVENTS"))?.state.last_seq ?? 0;
  const rounds = 40;
  let stored = 0;
  for (let round = 0; round < rounds; round++) {
    for (const { submit } of holders) submit(() => stored++, []);
    await sleep(10);
  }
  await eventually(() => stored === rounds * holders.length, { timeoutMs: 1_000 });
  const records = ((await streamInfo(c.broker.jsm, "EVENTS"))?.state.last_seq ?? 0) - before;
  assert.ok(records < stored / 3, `${records} records for ${stored} events`);
});

test("P2: of several ledgers in one batch, the one that was taken over is lost and the others are stored", async () => {
  await using nats = await startNats();
  await using c = await startCommitter(nats.url);
  const [a, b, zombie] = await Promise.all(["a", "b", "z"].map((name) => c.holder(name, "one")));
  assert.ok(a && b && zombie);
  const successor = await c.holder("z", "two");
  const stored: string[] = [];
  for (const [name, holder] of Object.entries({ a, zombie, b })) {
    holder.submit(() => stored.push(name));
  }
  await eventually(() => stored.length === 2);
  assert.deepEqual(stored, ["a", "b"]);
  assert.deepEqual([a.lost.yes, b.lost.yes, zombie.lost.yes], [false, false, true]);
  assert.deepEqual([a.ledger.counts.handled, zombie.ledger.counts.handled], [1, 0]);
  successor.submit(() => stored.push("successor"));
  await eventually(() => stored.length === 3);
  const info = await c.broker.jsm.streams.info("EVENTS", { subjects_filter: "events.t.*" });
  assert.deepEqual(info.state.subjects, { "events.t.a": 1, "events.t.b": 1, "events.t.z": 1 });
});

test("of a group the server refuses one message in the middle of: its unit alone is refused, the others are stored", async () => {
  await using nats = await startNats();
  await using c = await startCommitter(nats.url);
  const { config } = await c.broker.jsm.streams.info("EVENTS");
  await c.broker.jsm.streams.update("EVENTS", { ...config, max_msg_size: 4_000 });
  const { ledger } = await c.holder("note", "one");
  const outcomes: string[] = [];
  for (let n = 0; n < 40; n++) {
    const sizes = n === 17 ? [10, 5_000, 10] : [10, 10];
    c.committer.submit({
      ledger,
      slot: undefined,
      stream: undefined,
      move: { from: "new", to: "handled" },
      messages: sizes.map((size) => ({
        natsSubject: "events.t.note",
        headerLines: "",
        data: new Uint8Array(size),
      })),
      onStored: () => outcomes.push("stored"),
      onRefused: (why) => outcomes.push(`${n}: ${why}`),
    });
  }
  await eventually(() => outcomes.length === 40);
  const [refused, ...others] = outcomes.filter((outcome) => outcome !== "stored");
  assert.match(refused ?? "", /^17: .*message size exceeds maximum allowed/);
  assert.deepEqual(others, []);
  const info = await c.broker.jsm.streams.info("EVENTS", { subjects_filter: "events.t.*" });
  assert.deepEqual(info.state.subjects, { "events.t.note": 78 });
  assert.equal(ledger.counts.handled, 39);
});
