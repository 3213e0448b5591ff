import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { Type } from "typebox";
import { eventually } from "../../../tests/support/eventually.ts";
import { startNats } from "../../../tests/support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../../../tests/support/pipeline.ts";
import {
  event,
  type Handler,
  Permanent,
  type Projection,
  projection,
} from "../../authoring/index.ts";
import { type Broker, createIngress, storeBatch } from "../../broker/index.ts";
import { encodeMessage, eventSubject, keyOf } from "../../events/index.ts";
import { listLetters, replayLetter, type When } from "../../pipeline/index.ts";
import { openProjectionReader } from "../read.ts";
import { openPast, type Past } from "./past.ts";

const Data = Type.Object({ key: Type.String(), n: Type.Integer() });
const Added = event("com.acme.sum.added", Data);
const Cleared = event("com.acme.sum.cleared", Data);
const Other = event("com.acme.sum.other", Data);
let mended = false;
const asked = new Set<string>(); // ids of events that the author's code has seen

const sums = projection("sums", {
  from: [Added, Cleared],
  where: { data: { n: [{ "anything-but": [0] }] } },
  key(e) {
    asked.add(e.id);
    return e.data.key;
  },
  state: Type.Object({ sum: Type.Integer(), last: Type.String() }),
  apply(state, e) {
    if (e.data.n < 0 && !mended) throw new Permanent("less than nothing");
    if (e.type === Cleared.type) return null;
    return { sum: (state?.sum ?? 0) + e.data.n, last: e.id };
  },
});

const handlerFor = (declaration: Handler["declaration"]): Handler => ({
  ...{ name: "sums", file: "sums.ts", version: "v1" },
  declaration,
});

function pastOf(broker: Broker, declaration: Handler["declaration"] = sums, atOnce = 2): Past {
  const runs = { deadlineMs: 5_000, readEntry: async () => ({ value: undefined }) };
  return openPast({ broker, runs, handlers: () => [handlerFor(declaration)] }, atOnce);
}

const never = new AbortController().signal;
const position = (seq: number): When => ({ kind: "position", position: { stream: "EVENTS", seq } });
const code = (expected: string) => (error: unknown) => {
  assert.equal((error as { code?: string }).code, expected, String(error));
  return true;
};

interface Given {
  readonly what: "add" | "clear" | "filtered" | "dead" | "invalid" | "repeat" | "other";
  readonly key: "a" | "b" | "c";
  readonly n: number;
}

const given = fc.record<Given>({
  what: fc.constantFrom(
    "add",
    "add",
    "add",
    "clear",
    "filtered",
    "dead",
    "invalid",
    "repeat",
    "other",
  ),
  key: fc.constantFrom("a", "b", "c"),
  n: fc.integer({ min: 1, max: 9 }),
});

/** What stands at each position, and how a plain loop folds it. */
function modelOf() {
  const log: {
    readonly id: string;
    readonly what: Given["what"];
    readonly key: string;
    readonly n: number;
  }[] = [];
  return {
    log,
    statesAt(seq: number): Map<string, { sum: number; last: string }> {
      const states = new Map<string, { sum: number; last: string }>();
      for (const { what, key, id, n } of log.slice(0, seq)) {
        if (what === "clear") states.delete(key);
        if (what === "add") states.set(key, { sum: (states.get(key)?.sum ?? 0) + n, last: id });
      }
      return states;
    },
  };
}

test("the value at every position, and what changed between any two, is what a plain loop over the log makes of it", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ sums: sums as Projection });
  const past = pastOf(p.broker);
  const model = modelOf();
  const store = async ({ what, key, n }: Given) => {
    const of = what === "repeat" ? model.log.find((entry) => entry.what === "add") : undefined;
    const id = of?.id ?? `e${model.log.length + 1}`;
    const data =
      what === "filtered"
        ? { key, n: 0 }
        : what === "dead"
          ? { key, n: -n }
          : what === "invalid"
            ? { key, n: "many" }
            : { key, n };
    const type = what === "clear" ? Cleared : what === "other" ? Other : Added;
    await produce(p.broker, [makeTestEvent(type.type, id, data)]);
    const was = what === "repeat" && of === undefined ? "add" : what;
    model.log.push({ id, what: was, key, n });
  };
  const keys = ["a", "b", "c"];
  await fc.assert(
    fc.asyncProperty(
      fc.array(given, { minLength: 3, maxLength: 12 }),
      fc.nat(),
      async (events, pick) => {
        const before = model.log.length;
        for (const one of events) await store(one);
        await p.settled();
        const last = model.log.length;
        for (let seq = before + 1; seq <= last; seq++) {
          const states = model.statesAt(seq);
          const key = keys[seq % 3] ?? "a";
          const then = await past.at("sums", key, position(seq), never);
          assert.deepEqual(then.value, states.get(key), `${key} at ${seq}`);
          assert.deepEqual(then.present, seq === last);
        }
        const from = pick % (last + 1);
        const to = from + ((pick * 7) % (last - from + 1));
        const [a, b] = [model.statesAt(from), model.statesAt(to)];
        const page = { limit: 10 };
        const found = await past.between("sums", position(from), position(to), page, never);
        const expected = keys
          .filter((key) => !isDeepStrictEqual(a.get(key), b.get(key)))
          .map((key) => [key, a.get(key), b.get(key)]);
        assert.deepEqual(
          found.changes.map((c) => [c.key, c.before, c.after]),
          expected,
          `${from} to ${to}`,
        );
      },
    ),
    { numRuns: 8 },
  );
  const reader = await openProjectionReader(p.broker.nc, p.broker);
  const live = await Promise.all(keys.map(async (key) => (await reader.get("sums", key))?.value));
  const states = model.statesAt(model.log.length);
  assert.deepEqual(
    live,
    keys.map((key) => states.get(key)),
    "live has made the same of it",
  );
});

test("a history tells of each event of the key what it did, or why it did nothing", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  mended = false;
  await p.run({ sums: sums as Projection });
  const add = (id: string, n: unknown, key = "a") => makeTestEvent(Added.type, id, { key, n });
  for (const one of [
    add("1", 2),
    add("x", 5, "b"),
    add("2", 0),
    add("1", 2),
    add("3", -1),
    add("4", "many"),
    makeTestEvent(Cleared.type, "5", { key: "a", n: 1 }),
    makeTestEvent(Cleared.type, "6", { key: "a", n: 1 }),
    add("7", 7),
    add("3", -1),
  ])
    await produce(p.broker, [one]);
  await p.settled();
  const past = pastOf(p.broker);
  const look = async (limit = 100) => {
    const { rows, older } = await past.history("sums", "a", limit, never);
    return {
      rows: rows.map(({ position, id, what, value }) => [position, id, what, value]),
      older,
      all: rows,
    };
  };
  const expected = [
    ["EVENTS:1", "1", "set", { sum: 2, last: "1" }],
    ["EVENTS:3", "2", "filtered", undefined],
    ["EVENTS:4", "1", "duplicate", undefined],
    ["EVENTS:5", "3", "dead", undefined],
    ["EVENTS:6", "4", "dead", undefined],
    ["EVENTS:7", "5", "removed", undefined],
    ["EVENTS:8", "6", "unchanged", undefined],
    ["EVENTS:9", "7", "set", { sum: 7, last: "7" }],
    ["EVENTS:10", "3", "duplicate", undefined],
  ];
  asked.clear();
  const first = await look();
  assert.deepEqual(first.rows, expected);
  assert.deepEqual([asked.has("1"), asked.has("3")], [true, false], "M1: nobody runs what is dead");
  assert.match(first.all[2]?.note ?? "", /stands at EVENTS:1 already/);
  assert.match(first.all[3]?.note ?? "", /^letter 1, permanent: less than nothing$/);
  const { rows, older } = await look(2);
  assert.deepEqual([rows, older], [expected.slice(-2), 7], "the newest are kept");

  const then = await past.at("sums", "a", position(8), never);
  assert.equal(then.value, undefined);
  assert.match(then.by ?? "", /id 6\) at EVENTS:8/);

  mended = true;
  const [letter] = await listLetters(p.broker);
  assert.equal(await replayLetter(p.broker, letter?.letter ?? 0), "given back");
  const after = await eventually(async () => {
    const seen = await look();
    assert.deepEqual(seen.rows[3], ["EVENTS:5", "3", "set", { sum: 1, last: "3" }]);
    return seen;
  });
  assert.match(after.all[3]?.note ?? "", /given back/);
  mended = false;
});

test("an event that waits for a retry is left out and named; so is one that this code cannot fold", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [600_000] });
  const waits = projection("sums", {
    from: [Added],
    key: (e) => e.data.key,
    apply(state, e) {
      if (e.data.n === 13) throw new Error("not today");
      return { key: e.data.key, n: (state?.n ?? 0) + e.data.n };
    },
  });
  await p.run({ sums: waits as Projection });
  const add = (id: string, n: number) => makeTestEvent(Added.type, id, { key: "a", n });
  for (const one of [add("1", 1), add("2", 13), add("3", 2)]) await produce(p.broker, [one]);
  const past = pastOf(p.broker, waits as Projection);
  const rows = await eventually(async () => {
    const { rows } = await past.history("sums", "a", 10, never);
    assert.equal(rows[1]?.what, "waiting");
    return rows;
  });
  assert.deepEqual(
    rows.map(({ what, value }) => [what, value]),
    [
      ["set", { key: "a", n: 1 }],
      ["waiting", undefined],
      ["set", { key: "a", n: 3 }],
    ],
  );
  const stricter = projection("sums", {
    from: [Added],
    key: (e) => e.data.key,
    apply(_, e) {
      if (e.data.n === 1) throw new Error("never again");
      return e.data;
    },
  });
  const [failed] = (await pastOf(p.broker, stricter as Projection).history("sums", "a", 10, never))
    .rows;
  assert.deepEqual([failed?.what, failed?.note], ["failed", "left out: never again"]);
});

test("moments: by time, before all, in the future; and a log whose head was cut says so", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const past = pastOf(p.broker);
  const add = (id: string, n: number) =>
    produce(p.broker, [makeTestEvent(Added.type, id, { key: "a", n })]);
  const empty = await past.at("sums", "a", position(5), never);
  assert.deepEqual([empty.value, empty.present, empty.at.seq], [undefined, true, 0]);
  await add("1", 1);
  const stored = await p.broker.jsm.streams.getMessage("EVENTS", { seq: 1 });
  await eventually(() => Date.now() > Date.parse(stored?.timestamp ?? "") + 5);
  await add("2", 2);
  const time = (atMs: number): When => ({ kind: "time", atMs });
  const first = Math.floor(Date.parse(stored?.timestamp ?? ""));
  const sumAt = async (when: When) => {
    const { value, at, present } = await past.at("sums", "a", when, never);
    return [(value as { sum: number } | undefined)?.sum, at.seq, present];
  };
  assert.deepEqual(await sumAt(time(first)), [1, 1, false], "its own millisecond counts");
  assert.deepEqual(await sumAt(time(Date.now() + 60_000)), [3, 2, true]);
  assert.deepEqual(await sumAt(position(999)), [3, 2, true]);
  await assert.rejects(past.at("sums", "a", time(first - 1), never), code("EDDY_PAST_BEFORE"));
  await assert.rejects(
    past.at("sums", "a", position(0), never),
    /EVENTS begins at EVENTS:1, stored 2/,
  );
  await assert.rejects(
    past.between("sums", position(2), position(1), { limit: 1 }, never),
    code("EDDY_PAST_ORDER"),
  );
  const all = await past.between("sums", position(0), position(9), { limit: 1 }, never);
  assert.deepEqual([all.added, all.present, all.changes[0]?.key], [1, true, "a"]);
  await assert.rejects(past.at("nothing", "a", position(1), never), code("EDDY_PAST_CODE"));
  await p.broker.jsm.streams.purge("EVENTS", { seq: 2 });
  await assert.rejects(past.at("sums", "a", position(2), never), code("EDDY_PAST_CUT"));
  await assert.rejects(past.history("sums", "a", 1, never), /begins at EVENTS:2, stored 2/);
});

test("data that is kept outside is put back before it is folded, and named where it is gone", async () => {
  await using nats = await startNats({ maxPayload: 64 * 1024 });
  await using p = await startTestPipeline(nats);
  const Large = event("com.acme.large", Type.Object({ key: Type.String(), text: Type.String() }));
  const sizes = projection("sums", {
    from: [Large],
    key: (e) => e.data.key,
    state: Type.Object({ length: Type.Integer() }),
    apply: (_, e) => ({ length: e.data.text.length }),
  });
  const store = createIngress(p.broker.nc, { stream: "EVENTS", objects: p.broker.objects });
  const large = (id: string, length: number) =>
    makeTestEvent(Large.type, id, { key: "a", text: "x".repeat(length) }, { subject: "a" });
  await store([large("1", 10), large("2", 200_000), large("3", 20)]);
  const past = pastOf(p.broker, sizes as Projection);
  const rows = async () => (await past.history("sums", "a", 10, never)).rows;
  assert.deepEqual(
    (await rows()).map(({ id, value }) => [id, value]),
    [
      ["1", { length: 10 }],
      ["2", { length: 200_000 }],
      ["3", { length: 20 }],
    ],
  );
  await p.broker.jsm.streams.purge("OBJ_EVENTS_data");
  const [, gone, last] = await rows();
  assert.deepEqual([gone?.what, last?.value], ["failed", { length: 20 }]);
  assert.match(gone?.note ?? "", /is not there: it was removed/);
});

test("pages of a difference follow each other", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const past = pastOf(p.broker);
  const named = Array.from({ length: 7 }, (_, n) => `k${n}`);
  await produce(
    p.broker,
    named.map((key) => makeTestEvent(Added.type, key, { key, n: 1 })),
  );
  const seen: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = { limit: 3, ...(after === undefined ? {} : { after }) };
    const found = await past.between("sums", position(0), position(7), page, never);
    assert.equal(found.added, 7);
    seen.push(...found.changes.map(({ key }) => key));
    if (found.next === undefined) break;
    after = found.next;
  }
  assert.deepEqual(seen, named);
});

test("T1 T2: 100,000 events are folded within seconds; a question that is aborted stops reading, and frees its place", async (t) => {
  await using nats = await startNats({ sync: "default" });
  await using p = await startTestPipeline(nats);
  const { broker } = p;
  for (let at = 0; at < 100_000; at += 1_000) {
    const batch = Array.from({ length: 1_000 }, (_, n) => {
      const made = makeTestEvent(Added.type, `e${at + n}`, { key: `k${(at + n) % 1_000}`, n: 1 });
      return { natsSubject: eventSubject(made.type, keyOf(made)), ...encodeMessage(made) };
    });
    assert.equal((await storeBatch(broker.nc, batch, 10_000)).kind, "stored");
  }
  const past = pastOf(broker, sums, 1);
  // Its processor time: how long it takes hangs on who else uses the machine.
  const took = async (what: string, work: () => Promise<unknown>) => {
    const [beganMs, before] = [performance.now(), process.cpuUsage()];
    await work();
    const { user, system } = process.cpuUsage(before);
    const cpuMs = Math.round((user + system) / 1_000);
    t.diagnostic(
      `${what}: ${Math.round(performance.now() - beganMs)} ms, ${cpuMs} ms of processor`,
    );
    assert.ok(cpuMs < 20_000, `${what} took ${cpuMs} ms of processor`);
  };
  await took("one key at the end", async () => {
    const { value } = await past.at("sums", "k7", position(100_000), never);
    assert.equal((value as { sum: number }).sum, 100);
  });
  await took("all 1,000 keys between the middle and the end", async () => {
    const found = await past.between(
      "sums",
      position(50_000),
      position(100_000),
      { limit: 10 },
      never,
    );
    assert.deepEqual([found.changed, found.changes.length], [1_000, 10]);
  });

  const readers = async () => {
    const found: string[] = [];
    for await (const { name } of broker.jsm.consumers.list("EVENTS")) found.push(name);
    return found;
  };
  const stop = new AbortController();
  const asked = past.history("sums", "k7", 10, stop.signal);
  asked.catch(() => {});
  await eventually(async () => (await readers()).length === 1);
  await assert.rejects(past.history("sums", "k7", 10, never), code("EDDY_PAST_BUSY"));
  stop.abort(new Error("enough"));
  await assert.rejects(asked, /enough/);
  await eventually(async () => (await readers()).length === 0, { timeoutMs: 2_000 });
  await eventually(async () => (await past.history("sums", "k7", 1, never)).older === 99);
});
