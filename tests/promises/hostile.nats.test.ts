// What a handler may do wrong without harm to anything else: one handler, one event, one version at a time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, on, projection } from "../../runtime/authoring/index.ts";
import { listLetters, replayLetter } from "../../runtime/pipeline/index.ts";
import { eventually } from "../support/eventually.ts";
import { startNats } from "../support/nats.ts";
import { countSubjects, makeTestEvent, produce, startTestPipeline } from "../support/pipeline.ts";

const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Paid = event("com.acme.order.paid", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
const note = on(Placed, { emits: [Noted], start: "first" }, (e, ctx) => {
  ctx.emit(Noted, { n: e.data.n });
});
const placed = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) =>
    makeTestEvent(Placed.type, `e${from + i}`, { n: from + i }),
  );

test("P4: a schema that does not compile makes dead letters of its own handler's events and stops nobody", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [] });
  const Broken = event(
    Placed.type,
    Type.Object({ n: Type.Integer(), s: Type.String({ pattern: "(" }) }),
  );
  const broken = on(Broken, { start: "first" }, () => {});
  await p.run({ note, broken });
  await produce(p.broker, placed(0, 5));
  const rows = await p.settled();
  assert.equal(rows.get("note")?.handled, 5);
  assert.deepEqual([rows.get("broken")?.delivered, rows.get("broken")?.dead], [5, 5]);
  const [letter] = await listLetters(p.broker);
  assert.match(letter?.error.message ?? "", /schema/);
  const mended = on(Placed, { start: "first" }, () => {});
  await p.run({ note, broken: mended }, "v2");
  for (const { letter: seq } of await listLetters(p.broker)) await replayLetter(p.broker, seq);
  await eventually(async () => (await p.settled()).get("broken")?.handled === 5);
});

test("P4: whatever a handler throws or returns, its event ends in the dead letters and the next one is handled", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [] });
  const evil: (() => unknown)[] = [
    () => {
      throw undefined;
    },
    () => {
      throw Object.defineProperty(new Error("x"), "message", {
        get() {
          throw new Error("from a getter");
        },
      });
    },
    () => {
      throw Object.assign(new Error("x"), { name: Symbol("s"), stack: 7, message: { a: 1 } });
    },
    () => {
      throw new Proxy(new Error("x"), {
        getPrototypeOf() {
          throw new Error("from a proxy");
        },
      });
    },
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is the point
      get then() {
        throw new Error("from the getter of then");
      },
    }),
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is the point
      then() {
        throw new Error("from then");
      },
    }),
    () => Promise.reject(null),
  ];
  const rogue = on(
    Placed,
    { start: "first", deadline: "2s" },
    (e) => evil[e.data.n]?.() as undefined,
  );
  await p.run({ rogue });
  await produce(p.broker, placed(0, evil.length + 1));
  const row = await eventually(
    async () => {
      const now = (await p.settled()).get("rogue");
      return now?.delivered === evil.length + 1 ? now : undefined;
    },
    { timeoutMs: 20_000 },
  );
  assert.deepEqual([row.handled, row.dead], [1, evil.length]);
  assert.deepEqual(
    p.facts.filter((fact) => fact.kind === "trouble"),
    [],
  );
});

test("P2: a handler that changes its event changes neither the event's name in the letter nor what is emitted", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [] });
  const vandal = on(Placed, { start: "first" }, (e) => {
    Object.assign(e, { id: "other", source: () => {}, type: 7 });
  });
  await p.run({ vandal });
  await produce(p.broker, placed(0, 1));
  await eventually(async () => (await p.settled()).get("vandal")?.dead === 1);
  const [letter] = await listLetters(p.broker);
  assert.deepEqual([letter?.id, letter?.source, letter?.type], ["e0", "/test", Placed.type]);
});

test("P4: emit options that can be no attribute are refused and end in a dead letter that names them", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [] });
  const options = [
    { datacontenttype: "application/json\r\nNats-Rollup: all" },
    { extensions: { "x: y\r\nNats-TTL": "1s" } },
    { subject: 7 as unknown as string },
  ];
  const emitter = on(Placed, { emits: [Noted], start: "first" }, (e, ctx) => {
    ctx.emit(Noted, { n: e.data.n }, options[e.data.n]);
  });
  await p.run({ emitter });
  await produce(p.broker, placed(0, options.length));
  const row = await eventually(async () => {
    const now = (await p.settled()).get("emitter");
    return now?.delivered === options.length ? now : undefined;
  });
  assert.equal(row.dead, options.length);
  assert.equal(await countSubjects(p.broker, "EVENTS", "events.com.acme.order.noted.*"), 0);
  for (const letter of await listLetters(p.broker)) assert.match(letter.error.message, /emitted/);
});

test("P1: an event that waits for a retry while its type is taken out of the handler becomes a dead letter, not a call", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [1_500, 50] });
  const types: string[] = [];
  const both = (fails: boolean) =>
    on([Placed, Paid], { start: "first" }, (e) => {
      if (fails) throw new Error("not yet");
      types.push(e.type);
    });
  const paidOnly = on([Paid], { start: "first" }, (e) => void types.push(e.type));
  await p.run({ h: both(true) });
  await produce(p.broker, placed(0, 1));
  await eventually(() => p.facts.some((fact) => fact.kind === "retry"));
  await p.run({ h: paidOnly }, "v2");
  await eventually(async () => (await listLetters(p.broker)).length === 1, { timeoutMs: 10_000 });
  const row = (await p.settled()).get("h");
  assert.deepEqual([row?.delivered, row?.dead, row?.retrying, types.length], [1, 1, 0, 0]);
});

test("a reload that comes while the handler still starts is not missed: the last filter counts", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const seen: string[] = [];
  const one = on(Placed, { start: "first" }, (e) => void seen.push(e.id));
  const two = on([Placed, Paid], { start: "first" }, (e) => void seen.push(e.id));
  const handler = (declaration: typeof one | typeof two, version: string) => ({
    name: "h",
    file: "h.ts",
    version,
    declaration,
  });
  for (let round = 0; round < 10; round++) {
    void p.pipeline.apply([handler(one as never, `a${round}`) as never]);
    await p.pipeline.apply([handler(two as never, `b${round}`) as never]);
    await produce(p.broker, [makeTestEvent(Paid.type, `p${round}`, { n: round })]);
    await eventually(() => seen.includes(`p${round}`), { timeoutMs: 10_000 });
    await p.pipeline.apply([]);
  }
});

test("a change of types lets the attempt under way finish on its version: no event meets two", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const runs: string[] = [];
  const first = on(Placed, { emits: [Noted], start: "first" }, async (e, ctx) => {
    runs.push(`one ${e.id}`);
    await gate;
    ctx.emit(Noted, { n: e.data.n });
  });
  const second = on([Placed, Paid], { emits: [Noted], start: "first" }, async (e, ctx) => {
    runs.push(`two ${e.id}`);
    ctx.emit(Noted, { n: e.data.n });
  });
  await p.run({ h: first });
  await produce(p.broker, placed(0, 1));
  await eventually(() => runs.length === 1);
  const swapped = p.run({ h: second }, "v2");
  await produce(p.broker, [makeTestEvent(Paid.type, "p0", { n: 1 })]);
  open();
  await swapped;
  await eventually(async () => (await p.settled()).get("h")?.handled === 2);
  assert.deepEqual(runs, ["one e0", "two p0"]);
});

test("a removed handler that still drains holds up no other change", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  let begun = false;
  const slow = on(Placed, { start: "first" }, async () => {
    begun = true;
    await gate;
  });
  await p.run({ slow });
  await produce(p.broker, placed(0, 1));
  await eventually(() => begun);
  await p.run({});
  const handler = (name: string, declaration: typeof note | typeof slow) =>
    ({ name, file: "x.ts", version: "v2", declaration }) as never;
  void p.pipeline.apply([handler("slow", slow), handler("note", note)]);
  await eventually(
    () => p.pipeline.status().some((s) => s.handler.name === "note" && s.state === "running"),
    { timeoutMs: 2_000, what: "that the other handler runs" },
  );
  open();
  await p.running("slow", "note");
  assert.equal((await p.settled()).get("slow")?.handled, 1);
});

test("a projection that takes the name of a reaction begins anew with a ledger of its own", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ same: note });
  await produce(p.broker, placed(0, 10));
  await p.settled();
  const same = projection("same", { from: [Placed], key: (e) => e.id, apply: (_, e) => e.data });
  await p.run({ same }, "v2");
  await eventually(async () => (await p.settled()).get("same")?.handled === 10);
  assert.equal(await countSubjects(p.broker, "KV_same", "$KV.same.*"), 10);
});

test("P4: a handler that is gone and left a thousand retries behind holds up no other handler's", async () => {
  await using nats = await startNats({ sync: "default" });
  await using p = await startTestPipeline(nats, { delaysMs: [300, 50] });
  // Long enough that none comes due before the handler is gone, also where storing them all is slow.
  const fails = on(Placed, { start: "first", retry: ["12s"] }, () => {
    throw new Error("never");
  });
  await p.run({ fails });
  await produce(p.broker, placed(0, 1_200));
  await eventually(() => p.facts.filter((fact) => fact.kind === "retry").length === 1_200, {
    timeoutMs: 20_000,
  });
  let attempts = 0;
  const once = on(Paid, { start: "first" }, () => {
    if (++attempts === 1) throw new Error("not yet");
  });
  await p.run({ once });
  const due = async () =>
    Object.values(
      (await p.broker.jsm.streams.info("RETRY", { subjects_filter: "due.>" })).state.subjects ?? {},
    ).reduce((sum, n) => sum + n, 0);
  await eventually(async () => (await due()) === 1_200, { timeoutMs: 40_000 });
  await produce(p.broker, [makeTestEvent(Paid.type, "p0", { n: 1 })]);
  await eventually(() => attempts === 2, { timeoutMs: 6_000, what: "the second attempt" });
});
