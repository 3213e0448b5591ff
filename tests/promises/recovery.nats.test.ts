// What the pipeline finds again by itself: streams that vanish, servers that go away, instances that overlap.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, on, projection } from "../../runtime/authoring/index.ts";
import { readMessage } from "../../runtime/broker/index.ts";
import { listLetters, readHandlers, replayLetter } from "../../runtime/pipeline/index.ts";
import { storeLetter } from "../../runtime/pipeline/retry/letters.ts";
import { eventually } from "../support/eventually.ts";
import { startNats } from "../support/nats.ts";
import { countSubjects, makeTestEvent, produce, startTestPipeline } from "../support/pipeline.ts";

const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
const note = on(Placed, { emits: [Noted], start: "first" }, async (e, ctx) => {
  ctx.emit(Noted, { n: e.data.n });
});
const placed = (from: number, to: number, keys = 1_000_000) =>
  Array.from({ length: to - from }, (_, i) =>
    makeTestEvent(
      Placed.type,
      `e${from + i}`,
      { n: from + i },
      { subject: `key-${(from + i) % keys}` },
    ),
  );
const notes = "events.com.acme.order.noted.*";

test("P1: of two instances that are idle, the one without the ledger takes no event away for long", async () => {
  await using nats = await startNats();
  await using a = await startTestPipeline(nats);
  await a.run({ note });
  await using b = await startTestPipeline(nats);
  await b.run({ note });
  for (let n = 0; n < 4; n++) {
    await produce(a.broker, placed(n, n + 1));
    await eventually(async () => (await countSubjects(a.broker, "EVENTS", notes)) === n + 1, {
      timeoutMs: 12_000,
      what: `the effect of event ${n}`,
    });
  }
  await eventually(
    () =>
      a.pipeline.status()[0]?.state === "standby" || b.pipeline.status()[0]?.state === "standby",
    { timeoutMs: 10_000, what: "that one stands by" },
  );
  const row = (await b.settled()).get("note");
  assert.deepEqual([row?.handled, row?.delivered], [4, 4]);
});

test("P2: retries come back to the instance that runs the handler, at their time, while another stands by", async () => {
  await using nats = await startNats();
  const attempts: number[] = [];
  const flaky = on(Placed, { emits: [Noted], start: "first" }, async (e, ctx) => {
    attempts.push(ctx.attempt);
    if (ctx.attempt === 1) throw new Error("not yet");
    ctx.emit(Noted, { n: e.data.n });
  });
  await using a = await startTestPipeline(nats, { delaysMs: [300] });
  await a.run({ flaky });
  await using b = await startTestPipeline(nats, { delaysMs: [300] });
  await b.run({ flaky });
  await produce(b.broker, placed(0, 1));
  await eventually(() => a.pipeline.status()[0]?.state === "standby", { timeoutMs: 15_000 });
  await eventually(async () => (await countSubjects(b.broker, "EVENTS", notes)) === 1, {
    timeoutMs: 10_000,
  });
  await produce(b.broker, placed(1, 21));
  await eventually(async () => (await countSubjects(b.broker, "EVENTS", notes)) === 21, {
    timeoutMs: 4_000,
    what: "the second attempts",
  });
});

test("P2: blocks of the identity index lost while it runs cost a re-read at the next start, not a verdict", async () => {
  await using nats = await startNats();
  await using first = await startTestPipeline(nats);
  await first.run({ note });
  await produce(first.broker, placed(0, 50));
  await first.settled();
  await first.stop();
  await using second = await startTestPipeline(nats);
  await second.run({ note });
  await second.broker.jsm.streams.purge("IDENTITIES");
  await produce(second.broker, placed(50, 60));
  await second.settled();
  await second.stop(); // writes a block of what came since
  await using third = await startTestPipeline(nats);
  await third.run({ note });
  await produce(third.broker, placed(0, 60));
  const row = await eventually(async () => {
    const now = (await third.settled()).get("note");
    return now?.delivered === 120 ? now : undefined;
  });
  assert.deepEqual([row.handled, row.duplicate], [60, 60]);
  assert.equal(await countSubjects(third.broker, "EVENTS", notes), 60);
});

test("P4: the identity index goes on where its blocks cannot be stored", async () => {
  await using nats = await startNats({ sync: "default" });
  await using p = await startTestPipeline(nats);
  const seen = on(Placed, {}, () => {});
  await p.run({ seen });
  await p.broker.jsm.streams.delete("IDENTITIES");
  const all = placed(0, 17_000);
  for (let at = 0; at < all.length; at += 1_000) await produce(p.broker, all.slice(at, at + 1_000));
  await eventually(() => p.pipeline.identities.size === 17_000, { timeoutMs: 20_000 });
  await p.run({ seen, note: on(Placed, { start: "now" }, () => {}) });
  await produce(p.broker, placed(0, 1));
  await eventually(async () => (await p.settled()).get("note")?.duplicate === 1);
});

test("P2: twenty thousand repeats in a log that is read anew are all recognised, without flooding the server", async () => {
  await using nats = await startNats({ sync: "default" });
  await using p = await startTestPipeline(nats);
  await p.run({});
  const all = placed(0, 20_000);
  for (let round = 0; round < 2; round++) {
    for (let at = 0; at < all.length; at += 2_000)
      await produce(p.broker, all.slice(at, at + 2_000));
  }
  await p.stop();
  await (await nats.connect()).request("$JS.API.STREAM.PURGE.IDENTITIES", "");
  await using q = await startTestPipeline(nats);
  const count = on(Placed, { start: "first" }, () => {});
  await q.run({ count });
  const row = await eventually(
    async () => {
      const now = (await q.settled()).get("count");
      return now?.delivered === 40_000 ? now : undefined;
    },
    { timeoutMs: 30_000 },
  );
  assert.deepEqual([row.handled, row.duplicate], [20_000, 20_000]);
  assert.deepEqual(
    q.facts.filter((fact) => fact.kind === "trouble"),
    [],
  );
});

test("P1: the retry stream and the dead letters' stream, deleted while it runs, are made again", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [300] });
  const fails = on(Placed, { start: "first" }, () => {
    throw new Error("never");
  });
  await p.run({ fails });
  await p.broker.jsm.streams.delete("RETRY");
  await p.broker.jsm.streams.delete("DEAD");
  await produce(p.broker, placed(0, 3));
  await eventually(async () => (await listLetters(p.broker)).length === 3, { timeoutMs: 15_000 });
  const row = (await p.settled()).get("fails");
  assert.deepEqual([row?.delivered, row?.dead, row?.retrying], [3, 3, 0]);
});

test("a node without its server stops within its time, also in the middle of a reload", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const Paid = event("com.acme.order.paid", Type.Object({ n: Type.Integer() }));
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  let runs = 0;
  const slow = on(Placed, { emits: [Noted], start: "first" }, async (e, ctx) => {
    runs++;
    await gate;
    ctx.emit(Noted, { n: e.data.n });
  });
  await p.run({ slow, note });
  await produce(p.broker, placed(0, 20));
  await eventually(() => runs === 20);
  await nats.kill();
  open();
  const wider = on([Placed, Paid], { start: "first" }, () => {});
  const handlers = { slow: wider, note: wider };
  void p.pipeline.apply(
    Object.entries(handlers).map(([name, declaration]) => ({
      name,
      file: "x.ts",
      version: "v2",
      declaration: declaration as never,
    })),
  );
  const began = Date.now();
  await p.pipeline.stop(1_000);
  assert.ok(Date.now() - began < 9_000, `it took ${Date.now() - began} ms`);
});

test("P3: a server that restarts in the middle costs a projection no order: the last event of a key is its state", async () => {
  await using nats = await startNats();
  const latest = projection("latest", {
    from: [Placed],
    key: (e) => e.subject ?? "",
    apply: (state: { n: number; seen: number } | undefined, e) => ({
      n: e.data.n,
      seen: (state?.seen ?? 0) + 1,
    }),
    state: Type.Object({ n: Type.Integer(), seen: Type.Integer() }),
  });
  await using producer = await startTestPipeline(nats);
  const events = placed(0, 9_000, 3_000);
  for (let at = 0; at < 9_000; at += 1_000)
    await produce(producer.broker, events.slice(at, at + 1_000));
  await using p = await startTestPipeline(nats);
  await p.run({ latest });
  await eventually(() => p.facts.some((fact) => fact.kind === "outcome"));
  await nats.kill(); // while entries are read
  await nats.restart();
  const row = await eventually(
    async () => {
      const now = (await p.settled()).get("latest");
      return now?.delivered === 9_000 ? now : undefined;
    },
    { timeoutMs: 40_000 },
  );
  assert.equal(row.handled, 9_000);
  assert.deepEqual(
    p.facts.filter((fact) => fact.kind === "retry"),
    [],
  );
  for (const key of [0, 1, 500, 2_999]) {
    const entry = await p.broker.jsm.streams.getMessage("KV_latest", {
      last_by_subj: `$KV.latest.key-${key}`,
    });
    assert.deepEqual(entry?.json(), { n: 6_000 + key, seen: 3 });
  }
});

test("a full home stream whose old events are done with is cut, though it takes no record of an idle handler", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, {
    homeMaxBytes: 300_000,
    retentionMs: 5_000,
  });
  const cut = (from: number) =>
    eventually(
      async () => {
        await p.pipeline.cutHead();
        return (await p.broker.jsm.streams.info("EVENTS")).state.first_seq > from;
      },
      { timeoutMs: 30_000, what: `that more than ${from} messages are cut` },
    );
  const Other = event("com.acme.other", Type.Object({}));
  await p.run({ note, idle: on(Other, { start: "first" }, () => {}) });
  await produce(p.broker, placed(0, 50));
  await p.settled();
  await new Promise((resolve) => setTimeout(resolve, 5_000)); // these are old, and the next ones are not
  await produce(p.broker, placed(50, 150));
  await p.settled();
  await cut(50);
  let stored = 150;
  let full = false;
  while (!full) {
    await produce(p.broker, placed(stored, stored + 10)).then(
      () => {
        stored += 10;
      },
      () => {
        full = true;
      },
    );
  }
  await cut(150);
  await eventually(
    async () => {
      await produce(p.broker, placed(stored, stored + 10));
      return true;
    },
    { timeoutMs: 20_000, what: "that there is room again" },
  );
  // What waited for room takes it, and the stream may be full once more until the next events are old enough.
  await eventually(
    async () => {
      await p.pipeline.cutHead();
      const row = (await readHandlers(p.broker)).find(({ name }) => name === "note");
      return row?.lag === 0 && row.handled === stored + 10;
    },
    { timeoutMs: 40_000, what: `that ${stored + 10} are handled` },
  );
});

test("P1: events of almost the server's largest message are retried and given back with every byte", async () => {
  await using nats = await startNats({ maxPayload: 65_536 });
  await using p = await startTestPipeline(nats, { delaysMs: [300, 300] });
  const Big = event("com.acme.big", Type.Object({ text: Type.String() }));
  const lengths: number[] = [];
  let until = 3;
  const flaky = on(Big, { start: "first" }, (e, ctx) => {
    if (ctx.attempt < until) throw new Error("not yet");
    lengths.push(e.data.text.length);
  });
  await p.run({ flaky });
  // Structured mode without a header: the message's data may be as large as the server's whole limit.
  const envelope = (id: string, text: string) =>
    JSON.stringify({
      specversion: "1.0",
      id,
      source: "/t",
      type: Big.type,
      subject: id,
      data: { text },
    });
  const room = 65_536 - envelope("a", "").length;
  for (const id of ["a", "b"]) {
    await p.broker.js.publish(`events.com.acme.big.${id}`, envelope(id, "x".repeat(room)));
  }
  await eventually(() => lengths.length === 2, { timeoutMs: 10_000, what: "the third attempts" });
  assert.deepEqual(lengths, [room, room]);
  until = 100;
  await p.broker.js.publish("events.com.acme.big.c", envelope("c", "y".repeat(room)));
  const [letter] = await eventually(
    async () => {
      const found = await listLetters(p.broker);
      return found.length === 1 ? found : undefined;
    },
    { timeoutMs: 10_000 },
  );
  until = 1;
  await replayLetter(p.broker, letter?.letter ?? 0);
  await eventually(() => lengths.length === 3, { what: "the attempt of the letter" });
  assert.equal(lengths[2], room);
  await p.settled();
  for (const stream of ["RETRY", "DEAD"]) {
    const left = async () =>
      Object.keys(
        (await p.broker.jsm.streams.info(stream, { subjects_filter: ">" })).state.subjects ?? {},
      );
    await eventually(async () => assert.deepEqual(await left(), []) ?? true);
  }
});

test("P2: a letter that a crash left behind, of an event that was handled after it, doubles no effect when it is given back", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await produce(p.broker, placed(0, 1));
  await p.settled();
  const origin = await readMessage(p.broker.nc, "EVENTS", {
    last_by_subj: "events.com.acme.order.placed.key-0",
  });
  assert.ok(origin?.headers);
  const { seq, natsSubject, headers, data } = origin;
  await storeLetter(p.broker, {
    handler: "note",
    original: { position: { stream: "EVENTS", seq }, natsSubject, timeMs: 0, headers, data },
    attempts: [],
    next: 1,
    packedMs: Date.now(),
    death: { reason: "permanent", version: "v0", error: { name: "Error", message: "x" } },
  });
  const [letter] = await listLetters(p.broker);
  await replayLetter(p.broker, letter?.letter ?? 0);
  await eventually(async () => (await listLetters(p.broker)).length === 0);
  await eventually(async () => (await p.broker.jsm.streams.info("RETRY")).state.messages === 0);
  assert.equal(await countSubjects(p.broker, "EVENTS", notes), 1);
  const row = (await p.settled()).get("note");
  assert.deepEqual([row?.delivered, row?.handled, row?.dead], [1, 1, 0]);
});

test("P1: a projection's bucket deleted while it runs is filled again from the first event", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const latest = projection("latest", {
    from: [Placed],
    key: (e) => e.subject ?? "",
    apply: (_, e) => e.data,
  });
  await p.run({ latest });
  await produce(p.broker, placed(0, 20));
  await p.settled();
  await p.broker.jsm.streams.delete("KV_latest");
  await produce(p.broker, placed(20, 21));
  await eventually(
    async () => (await countSubjects(p.broker, "KV_latest", "$KV.latest.*")) === 21,
    {
      timeoutMs: 15_000,
    },
  );
  assert.equal((await p.settled()).get("latest")?.handled, 21);
});

test("P1: a home stream that is made anew is read from its first event, also by a reaction that starts at now", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const seen: string[] = [];
  const later = on(Placed, (e) => void seen.push(e.id));
  await p.run({ later });
  await produce(p.broker, [...placed(0, 10), ...placed(0, 10)]);
  await eventually(() => seen.length === 10);
  await p.settled();
  const { config } = await p.broker.jsm.streams.info("EVENTS");
  await p.broker.jsm.streams.delete("EVENTS");
  await p.broker.jsm.streams.add(config);
  await produce(p.broker, placed(100, 120));
  await eventually(() => seen.length === 30, { timeoutMs: 15_000 });
  assert.equal((await p.settled()).get("later")?.duplicate, 0);
});

test("P1: a stream that refuses batches for a reason of its own makes no dead letters: it is said, and events wait", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await p.broker.jsm.streams.update("EVENTS", { allow_atomic: false });
  await produce(p.broker, placed(0, 10));
  await eventually(() => p.facts.some((fact) => fact.kind === "trouble"), { timeoutMs: 10_000 });
  assert.deepEqual(await listLetters(p.broker), []);
  await p.broker.jsm.streams.update("EVENTS", { allow_atomic: true });
  await eventually(async () => (await p.settled()).get("note")?.handled === 10, {
    timeoutMs: 15_000,
  });
  assert.equal(await countSubjects(p.broker, "EVENTS", notes), 10);
});

test("P1: a reaction whose ledger is gone goes on where its consumer was, though it starts at now", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const seen: number[] = [];
  const later = on(Placed, (e) => void seen.push(e.data.n));
  await p.run({ later });
  await produce(p.broker, placed(0, 20));
  await eventually(() => seen.length === 20);
  await p.settled();
  await p.stop();
  await using q = await startTestPipeline(nats);
  await q.broker.jsm.streams.purge("EVENTS", { filter: "ledger.test.later" });
  await produce(q.broker, placed(20, 30));
  await q.run({ later });
  await eventually(() => seen.length === 30, { what: "the events that came while it was away" });
  assert.deepEqual(
    seen.toSorted((x, y) => x - y),
    Array.from({ length: 30 }, (_, n) => n),
  );
});

test("a start that fails again and again leaves nothing behind in the process", async () => {
  await using nats = await startNats({
    config: `accounts: { A: { jetstream: enabled, users: [
      { user: all, password: x },
      { user: some, password: x, permissions: { publish: { deny: ["$JS.API.CONSUMER.RESET.>"] } } } ] } }`,
  });
  const { connectBroker } = await import("../../runtime/broker/index.ts");
  const { startPipeline } = await import("../../runtime/pipeline/index.ts");
  const broker = await connectBroker(
    { servers: [nats.url], name: "t", timeoutMs: 500, user: "some", password: "x" },
    { app: "test", home: "EVENTS" },
  );
  const facts: { kind: string }[] = [];
  const pipeline = await startPipeline({
    broker,
    homeMaxBytes: 10_000_000,
    defaults: {
      ...{ deadlineMs: 1_000, delaysMs: [], jitter: 0, deathsMax: 3 },
      ...{ retentionMs: 3_600_000, tombstoneMs: 3_600_000 },
    },
    identityLimits: { countMax: 1_000, ageMs: 1_000 },
    openEntries: () => Promise.reject(new Error("none")),
    readEntry: async () => ({ value: undefined }),
    findEntries: async () => ({ entries: [] }),
    mapStack: (stack) => stack,
    report: (fact) => facts.push(fact),
  });
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const tries = (n: number) =>
    eventually(() => facts.filter((f) => f.kind === "handler").length >= n, { timeoutMs: 30_000 });
  await pipeline.apply([{ name: "note", file: "n.ts", version: "v1", declaration: note as never }]);
  await tries(1);
  const before = timers();
  await tries(4);
  assert.ok(timers() <= before + 1, `${before} timers have become ${timers()}`);
  await pipeline.stop(100);
  await broker.close();
});
