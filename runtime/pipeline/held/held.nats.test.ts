// Ordered handlers on a real server: what a failing event does to its key, and to no other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";
import { eventually } from "../../../tests/support/eventually.ts";
import { startNats } from "../../../tests/support/nats.ts";
import {
  countSubjects,
  makeTestEvent,
  produce,
  startTestPipeline,
  type TestPipeline,
} from "../../../tests/support/pipeline.ts";
import { event, on, Permanent, projection, RetryAfter } from "../../authoring/index.ts";
import { readAll, readMessage } from "../../broker/index.ts";
import { token } from "../../events/index.ts";
import { discardLetter, listHeldKeys, listLetters, releaseKey, replayLetter } from "../index.ts";
import { reconcile } from "../reconcile/reconcile.ts";
import { storeParked } from "./parking.ts";

const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ key: Type.String(), n: Type.Integer() }));

const placed = (n: number, key: string) =>
  makeTestEvent(Placed.type, `e${n}`, { n }, { subject: key });

/** Numbers of the effects by key, in the order in which they are stored. */
async function effects({ broker }: TestPipeline): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  const events: { key: string; n: number }[] = [];
  await readAll(broker, "EVENTS", "events.com.acme.order.noted.*", ({ data }) => {
    events.push(JSON.parse(Buffer.from(data).toString()));
  });
  for (const { key, n } of events) found[key] = [...(found[key] ?? []), n];
  return found;
}

const parked = (p: TestPipeline) => countSubjects(p.broker, "RETRY", "parked.test.*.*.*.*");
const often = Array.from({ length: 200 }, () => 200); // delays: it fails for as long as the test wants

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Emits one for each; fails at one number for as long as it is broken. */
const failingAt = (n: number, broken: { now: boolean }) =>
  on(Placed, { emits: [Noted], start: "first", ordered: true }, ({ data, subject }, ctx) => {
    if (data.n === n && broken.now) throw new Error("not yet");
    ctx.emit(Noted, { key: subject ?? "", n: data.n });
  });

test("P3: a failing event holds back its key and no other; what came behind it follows in order", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: often });
  const broken = { now: true };
  const note = failingAt(2, broken);
  await p.run({ note });
  await produce(
    p.broker,
    range(0, 60).map((n) => placed(n, n % 2 === 0 ? "a" : "b")),
  );
  await eventually(async () => (await effects(p)).b?.length === 30);
  await eventually(async () => (await parked(p)) === 28);
  assert.deepEqual((await effects(p)).a, [0]);
  broken.now = false;
  const row = (await p.settled()).get("note");
  assert.deepEqual([row?.handled, row?.delivered, row?.dead], [60, 60, 0]);
  const all = await effects(p);
  assert.deepEqual(
    all.a,
    range(0, 30).map((n) => n * 2),
  );
  await eventually(async () => (await countSubjects(p.broker, "RETRY", ">")) === 0);
  await produce(p.broker, [placed(60, "a")]);
  assert.equal((await p.settled()).get("note")?.handled, 61);
});

test("P3: keys that fail here and there lose nothing, double nothing and stay in order", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [10, 10, 10, 10, 10, 10] });
  const seen = new Map<number, number>();
  const note = on(Placed, { emits: [Noted], start: "first", ordered: true }, async (e, ctx) => {
    const { n } = e.data;
    ctx.emit(Noted, { key: e.subject ?? "", n });
    const tried = (seen.get(n) ?? 0) + 1;
    seen.set(n, tried);
    if (n % 3 === 0) await new Promise((resolve) => setTimeout(resolve, n % 7));
    if (tried <= n % 4 && n % 5 === 0 && n % 320 < 40) throw new Error("not yet");
  });
  await p.run({ note });
  for (let from = 0; from < 800; from += 200) {
    await produce(
      p.broker,
      range(from, from + 200).map((n) => placed(n, `k${n % 40}`)),
    );
  }
  const row = (await p.settled()).get("note");
  assert.deepEqual([row?.handled, row?.delivered, row?.dead], [800, 800, 0]);
  const all = await effects(p);
  for (let k = 0; k < 40; k++) {
    assert.deepEqual(
      all[`k${k}`],
      range(0, 20).map((i) => i * 40 + k),
      `order of k${k}`,
    );
  }
  await eventually(async () => (await countSubjects(p.broker, "RETRY", ">")) === 0);
  assert.deepEqual(await listHeldKeys(p.broker), []);
});

/** Number 0 of each key fails for good. */
function holding(broken: { now: boolean }) {
  const options = { emits: [Noted], start: "first", ordered: true, onDead: "hold" } as const;
  return on(Placed, options, ({ data, subject }, ctx) => {
    if (data.n === 0 && broken.now) throw new Permanent("never");
    ctx.emit(Noted, { key: subject ?? "", n: data.n });
  });
}

const burst = (key: string, count: number) =>
  range(0, count).map((n) => makeTestEvent(Placed.type, `${key}-${n}`, { n }, { subject: key }));

test("P3: with onDead hold a dead letter holds its key until it is replayed, discarded or let go", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const broken = { now: true };
  await p.run({ note: holding(broken) });
  for (const key of ["replayed", "discarded", "released"]) await produce(p.broker, burst(key, 4));
  await produce(p.broker, [placed(9, "free")]);
  await eventually(async () => (await parked(p)) === 9);
  await eventually(async () => {
    const [account] = await reconcile(p.broker, ["note"], () => {});
    assert.deepEqual([account?.findings, account?.retrying], [[], 9]);
    return true;
  });
  const rows = await listHeldKeys(p.broker);
  assert.deepEqual(
    rows.map(({ handler, key, state, parked, by }) => [handler, key, state, parked, by?.id]),
    ["replayed", "discarded", "released"].map((key) => ["note", key, "dead", 3, `${key}-0`]),
  );
  assert.deepEqual(await effects(p), { free: [9] });
  const letter = (key: string) => rows.find((row) => row.key === key)?.letter ?? 0;

  broken.now = false;
  assert.equal(await replayLetter(p.broker, letter("replayed")), "given back");
  await eventually(async () => (await effects(p)).replayed?.length === 4);
  assert.equal(await discardLetter(p.broker, letter("discarded")), "discarded");
  await eventually(async () => (await effects(p)).discarded?.length === 3);
  assert.equal(await releaseKey(p.broker, "note", "released"), "released");
  await eventually(async () => (await effects(p)).released?.length === 3);
  assert.deepEqual(await effects(p), {
    free: [9],
    replayed: [0, 1, 2, 3],
    discarded: [1, 2, 3],
    released: [1, 2, 3],
  });
  const row = (await p.settled()).get("note");
  assert.deepEqual([row?.delivered, row?.handled, row?.dead], [13, 11, 2]);
  await eventually(async () => (await listHeldKeys(p.broker)).length === 0);
  assert.equal(await releaseKey(p.broker, "note", "released"), "not held");
  assert.equal(await replayLetter(p.broker, letter("released")), "given back"); // its followers have passed
  await eventually(async () => (await effects(p)).released?.at(-1) === 0);
});

test("an event whose key is let go is retried all the same, and holds nobody up again", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: often });
  let mended = false;
  const note = on(Placed, { emits: [Noted], start: "first", ordered: true }, (e, ctx) => {
    if (e.data.n === 0 && !mended) throw new Error("not yet");
    ctx.emit(Noted, { key: e.subject ?? "", n: e.data.n });
  });
  await p.run({ note });
  await produce(p.broker, burst("k", 3));
  await eventually(async () => (await parked(p)) === 2);
  await eventually(async () => (await releaseKey(p.broker, "note", "k")) === "released");
  await eventually(async () => (await effects(p)).k?.length === 2);
  await produce(p.broker, [placed(7, "k")]);
  await eventually(async () => (await effects(p)).k?.length === 3);
  mended = true;
  await p.settled();
  assert.deepEqual((await effects(p)).k, [1, 2, 7, 0]);
});

test("a thousand keys that are held survive a restart, and go on in order", async () => {
  await using nats = await startNats();
  const note = (mended: boolean) =>
    on(Placed, { emits: [Noted], start: "first", ordered: true }, (e, ctx) => {
      if (e.data.n < 1_000 && !mended) throw new RetryAfter("10s", "the source is down");
      ctx.emit(Noted, { key: e.subject ?? "", n: e.data.n });
    });
  await using p = await startTestPipeline(nats, { delaysMs: often });
  await p.run({ note: note(false) });
  for (const from of [0, 1_000]) {
    await produce(
      p.broker,
      range(from, from + 1_000).map((n) => placed(n, `k${n % 1_000}`)),
    );
  }
  await eventually(async () => (await parked(p)) === 1_000, { timeoutMs: 60_000 });
  assert.deepEqual(await effects(p), {});
  await p.stop();
  await using q = await startTestPipeline(nats, { delaysMs: often });
  await q.run({ note: note(true) });
  await eventually(async () => Object.keys(await effects(q)).length === 1_000, {
    timeoutMs: 60_000,
  });
  await q.settled();
  const all = await effects(q);
  for (let k = 0; k < 1_000; k++) assert.deepEqual(all[`k${k}`], [k, k + 1_000]);
  await eventually(async () => (await parked(q)) === 0); // a copy goes after its outcome
  assert.deepEqual(await listHeldKeys(q.broker), []);
});

test("a version that asks for no order any more lets go what an ordered one held", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: often });
  const broken = { now: true };
  await p.run({ note: holding(broken) });
  await produce(p.broker, burst("k", 4));
  await eventually(async () => (await parked(p)) === 3);
  const loose = on(Placed, { emits: [Noted] }, (e, ctx) => {
    if (e.data.n === 1 && ctx.attempt < 3) throw new Error("not yet");
    ctx.emit(Noted, { key: e.subject ?? "", n: e.data.n });
  });
  await p.run({ note: loose }, "v2");
  const row = (await p.settled()).get("note");
  assert.deepEqual([row?.delivered, row?.handled, row?.dead], [4, 3, 1]);
  assert.deepEqual((await effects(p)).k, [2, 3, 1]);
  assert.deepEqual(await listHeldKeys(p.broker), []);
});

test("an ordered projection folds the events of an entry in order, also across retries", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: often });
  let mended = false;
  const orders = projection("orders", {
    from: [Placed],
    ordered: true,
    key: (e) => e.subject ?? "",
    state: Type.Object({ all: Type.Array(Type.Integer()) }),
    apply: (state, { data: { n } }) => {
      if (n === 1 && !mended) throw new Error("not yet");
      return { all: [...(state?.all ?? []), n] };
    },
  });
  await p.run({ orders });
  await produce(p.broker, burst("k", 5));
  await eventually(async () => (await parked(p)) === 3);
  const rows = await listHeldKeys(p.broker);
  assert.deepEqual(
    rows.map(({ handler, key, state }) => [handler, key, state]),
    [["orders", "k", "waiting"]],
  );
  assert.deepEqual((await reconcile(p.broker, ["orders"], () => {}))[0]?.findings, []);
  mended = true;
  await p.settled();
  const entry = await p.broker.jsm.streams.getMessage("KV_orders", {
    last_by_subj: "$KV.orders.k",
  });
  assert.deepEqual(entry?.json(), { all: [0, 1, 2, 3, 4] });
});

test("an event that breaks its contract waits for its turn, and holds its key where dead ones do", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const broken = { now: true };
  await p.run({ note: holding(broken) });
  const wrong = makeTestEvent(Placed.type, "wrong", { n: "two" }, { subject: "k" });
  await produce(p.broker, [...burst("k", 2)]);
  await produce(p.broker, [wrong]);
  await produce(p.broker, [placed(3, "k")]);
  await eventually(async () => (await parked(p)) === 3);
  assert.deepEqual(
    (await listLetters(p.broker)).map(({ reason }) => reason),
    ["permanent"],
  );
  await releaseKey(p.broker, "note", "k");
  await eventually(async () => (await listLetters(p.broker)).length === 2);
  await eventually(async () => {
    const rows = await listHeldKeys(p.broker);
    assert.deepEqual(
      rows.map(({ state, by, parked }) => [state, by?.id, parked]),
      [["dead", "wrong", 1]],
    );
    return true;
  });
  assert.deepEqual((await effects(p)).k, [1]);
});

test("a copy that a crash left before the ledger knew of it changes nothing and goes", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note: holding({ now: false }) });
  await p.stop();
  await using q = await startTestPipeline(nats);
  await produce(q.broker, burst("k", 3));
  const { last_seq: last } = (await q.broker.jsm.streams.info("EVENTS")).state;
  for (const seq of [last - 1, last]) {
    const stored = await readMessage(q.broker.nc, "EVENTS", { seq });
    assert.ok(stored?.headers);
    const { natsSubject, headers, data } = stored;
    const position = { stream: "EVENTS", seq };
    const original = { position, natsSubject, timeMs: 1, headers, data };
    await storeParked(q.broker, "note", token("k"), original);
  }
  assert.equal(await parked(q), 2);
  await q.run({ note: holding({ now: false }) });
  const row = (await q.settled()).get("note");
  assert.deepEqual([row?.delivered, row?.handled], [3, 3]);
  await eventually(async () => (await parked(q)) === 0);
  assert.deepEqual((await effects(q)).k, [0, 1, 2]);
});

test("a key may be held for longer than the home stream keeps its events", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { retentionMs: 1_500 });
  const broken = { now: true };
  await p.run({ note: holding(broken) });
  await produce(p.broker, burst("k", 4));
  await eventually(async () => (await parked(p)) === 3);
  const before = (await p.broker.jsm.streams.info("EVENTS")).state.last_seq;
  const old = Date.now() + 4_000;
  await eventually(
    async () => {
      await produce(p.broker, [placed(Date.now(), "other")]);
      await p.pipeline.cutHead();
      return (
        Date.now() > old && (await p.broker.jsm.streams.info("EVENTS")).state.first_seq > before
      );
    },
    { timeoutMs: 30_000 },
  );
  broken.now = false;
  const [row] = await listHeldKeys(p.broker);
  assert.equal(row?.parked, 3);
  await replayLetter(p.broker, row?.letter ?? 0);
  await p.settled();
  assert.deepEqual((await effects(p)).k, [0, 1, 2, 3]);
  assert.deepEqual(await listLetters(p.broker), []);
});

test("a key is held on while nobody runs its handler and somebody else cuts the head", async () => {
  await using nats = await startNats();
  const retentionMs = 4_000;
  const p = await startTestPipeline(nats, { retentionMs });
  await p.run({ note: holding({ now: true }) });
  await produce(p.broker, burst("k", 4));
  await eventually(async () => (await parked(p)) === 3);
  await produce(p.broker, burst("other", 4));
  const oldMs = Date.now() + retentionMs;
  await sleep(retentionMs / 2);
  await p.stop(); // its ledger's last record is younger than what its held key needs
  await using q = await startTestPipeline(nats, { retentionMs, app: "other" });
  await sleep(oldMs + 200 - Date.now());
  await q.pipeline.cutHead();
  await using again = await startTestPipeline(nats, { retentionMs });
  const keys = await listHeldKeys(again.broker);
  assert.deepEqual(
    keys.map(({ key, state, parked }) => [key, state, parked]),
    [
      ["k", "dead", 3],
      ["other", "dead", 3],
    ],
  );
});

test("N1: of copies that a crash has stored twice none is left once the key is free", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: often });
  const broken = { now: true };
  const note = failingAt(0, broken);
  await p.run({ note });
  await produce(
    p.broker,
    range(0, 5).map((n) => placed(n, "a")),
  );
  await eventually(async () => (await parked(p)) === 4);
  const copies: { subject: string; data: Uint8Array }[] = [];
  await readAll(p.broker, "RETRY", "parked.test.>", ({ subject, data }) => {
    copies.push({ subject, data: Uint8Array.from(data) });
  });
  for (const { subject, data } of copies) await p.broker.js.publish(subject, data);
  broken.now = false;
  assert.equal((await p.settled()).get("note")?.handled, 5);
  assert.deepEqual((await effects(p)).a, range(0, 5));
  await eventually(async () => (await countSubjects(p.broker, "RETRY", ">")) === 0);
});

test("V3: where the server refuses what an event asked for, its followers stay behind it", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const { config } = await p.broker.jsm.streams.info("EVENTS");
  await p.broker.jsm.streams.update("EVENTS", { ...config, max_msg_size: 4_000 });
  const note = on(
    Placed,
    { emits: [Noted], start: "first", ordered: true, onDead: "hold", retry: ["1s"] },
    ({ data, subject }, ctx) => {
      if (data.n === 0 && ctx.attempt === 1) throw new Error("not yet");
      const key = data.n === 0 ? "x".repeat(8_000) : (subject ?? "");
      ctx.emit(Noted, { key, n: data.n });
    },
  );
  await p.run({ note });
  await produce(
    p.broker,
    range(0, 4).map((n) => placed(n, "a")),
  );
  await eventually(async () => (await listHeldKeys(p.broker))[0]?.state === "dead", {
    timeoutMs: 10_000,
  });
  const [letter] = await listLetters(p.broker);
  assert.equal(letter?.reason, "refused");
  assert.equal(await parked(p), 3);
  assert.deepEqual(await effects(p), {});
  await discardLetter(p.broker, letter?.letter ?? 0);
  await p.settled();
  assert.deepEqual((await effects(p)).a, [1, 2, 3]);
});
