import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Token, token } from "../../events/index.ts";
import { decodeHeld, encodeHeld, type HeldRecord } from "./records.ts";
import { decodeRelease, encodeRelease } from "./release.ts";
import { afterVerdict, type Ended, type Held, judgeParked, mended } from "./states.ts";
import { createTable, type HeldKey } from "./table.ts";

const by = { position: { stream: "EVENTS", seq: 7 }, source: "/s", id: "e7" };
const retry: Ended = { kind: "retry", attempt: 2, dueMs: 99 };
const waiting: Held = { kind: "waiting", by, attempt: 2, dueMs: 99 };
const dead: Held = { kind: "dead", by };
const goesOn = { kind: "goes on" };
const asItWas = { kind: "as it was" };

test("H1: an event that has to be tried again holds its key", () => {
  for (const role of ["first", "holder", "follower"] as const) {
    assert.deepEqual(afterVerdict(role, retry, by, "continue"), waiting);
    assert.deepEqual(afterVerdict(role, retry, by, "hold"), waiting);
    assert.notDeepEqual(afterVerdict(role, retry, by, "unordered"), waiting);
  }
});

test("a dead event holds its key only where the handler asks for that", () => {
  const over = { kind: "dead" } as const;
  assert.deepEqual(afterVerdict("first", over, by, "hold"), dead);
  assert.deepEqual(afterVerdict("holder", over, by, "hold"), dead);
  assert.deepEqual(afterVerdict("follower", over, by, "hold"), dead);
  assert.deepEqual(afterVerdict("first", over, by, "continue"), asItWas);
  assert.deepEqual(afterVerdict("holder", over, by, "continue"), goesOn);
  assert.deepEqual(afterVerdict("follower", over, by, "continue"), asItWas);
});

test("a key goes on when the event that holds it has its outcome, and by no other event", () => {
  const over = { kind: "over" } as const;
  assert.deepEqual(afterVerdict("holder", over, by, "hold"), goesOn);
  assert.deepEqual(afterVerdict("follower", over, by, "hold"), asItWas);
  assert.deepEqual(afterVerdict("first", over, by, "hold"), asItWas);
});

test("H2: an event that others of its key have passed holds nobody up", () => {
  for (const ended of [retry, { kind: "dead" }, { kind: "over" }] as const) {
    assert.deepEqual(afterVerdict("passed", ended, by, "hold"), asItWas);
  }
});

test("a key whose event has moved on without its record is mended when it is loaded", () => {
  assert.deepEqual(mended(waiting, { kind: "waiting" }, "continue"), waiting);
  assert.deepEqual(mended(waiting, undefined, "continue"), waiting); // its schedule comes due and says so
  assert.deepEqual(mended(waiting, { kind: "done" }, "continue"), { kind: "draining" });
  assert.deepEqual(mended(waiting, { kind: "dead" }, "continue"), { kind: "draining" });
  assert.deepEqual(mended(waiting, { kind: "dead" }, "hold"), dead);
  assert.deepEqual(mended(dead, { kind: "dead" }, "hold"), dead);
  assert.deepEqual(mended(dead, { kind: "done" }, "hold"), { kind: "draining" });
  assert.deepEqual(mended(waiting, { kind: "waiting" }, "unordered"), { kind: "draining" });
});

test("a parked event runs only while its standing says so", () => {
  const o = { passed: true, packedMs: 900, nowMs: 1_000, retentionMs: 500 };
  assert.equal(judgeParked({ ...o, standing: { kind: "parked" } }), "run");
  for (const kind of ["waiting", "dead", "done"]) {
    assert.equal(judgeParked({ ...o, standing: { kind } }), "stale");
  }
  assert.equal(judgeParked({ ...o, standing: undefined }), "stale");
  assert.equal(judgeParked({ ...o, standing: undefined, passed: false }), "unsettled");
  assert.equal(judgeParked({ ...o, standing: undefined, packedMs: 400 }), "uncertain");
});

const text = fc.string({ unit: "binary" });
const holders = fc.record(
  {
    position: fc.record({ stream: text, seq: fc.nat() }, { noNullPrototype: true }),
    source: text,
    id: text,
  },
  { noNullPrototype: true },
);
const states: fc.Arbitrary<HeldRecord["held"]> = fc.oneof(
  fc.constantFrom({ kind: "free" } as const, { kind: "draining" } as const),
  holders.map((by) => ({ kind: "dead", by }) as const),
  fc
    .tuple(holders, fc.nat(), fc.nat())
    .map(([by, attempt, dueMs]) => ({ kind: "waiting", by, attempt, dueMs }) as const),
);

test("the record of a held key reads back as it was written; bytes that are none are an error", () => {
  fc.assert(
    fc.property(text, states, fc.nat(), fc.nat(), (key, held, sinceMs, fromSeq) => {
      const record = { key, held, sinceMs, fromSeq };
      assert.deepEqual(decodeHeld(encodeHeld(record)), record);
    }),
  );
  for (const bytes of [new Uint8Array(0), Buffer.from("garbage"), Buffer.from([0x92, 1, 2])]) {
    assert.throws(() => decodeHeld(bytes), { code: "EDDY_LEDGER_UNREADABLE" });
  }
});

test("a release reads back as it was sent, and bytes that are none are none", () => {
  const release = { lane: token("c 7"), by: by.position };
  assert.deepEqual(decodeRelease(encodeRelease(release)), release);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.equal(decodeRelease(bytes), undefined)));
});

test("the table knows which lane an event holds, until the key goes on", () => {
  const key = (held: Held): HeldKey => ({
    key: "k",
    held,
    parked: true,
    sinceMs: 1,
    fromSeq: 7,
  });
  const lane: Token = token("k");
  const table = createTable(new Map([[lane, key(waiting)]]));
  assert.equal(table.heldBy(by.position), lane);
  table.set(lane, key({ kind: "draining" }));
  assert.equal(table.heldBy(by.position), undefined);
  table.set(lane, key(dead));
  assert.equal(table.heldBy(by.position), lane);
  table.forget(lane);
  assert.deepEqual([table.heldBy(by.position), table.size], [undefined, 0]);
});
