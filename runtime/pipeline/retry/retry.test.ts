import assert from "node:assert/strict";
import { test } from "node:test";
import { RetryAfter } from "../../authoring/index.ts";
import { nextDue, retrySubject } from "./backoff.ts";
import { judge } from "./judge.ts";
import { decodeParcel, encodeParcel, type Parcel } from "./parcel.ts";

const backoff = { delaysMs: [1_000, 5_000], jitter: 0.2 };

test("each delay is used once, and then no attempt is left", () => {
  assert.equal(nextDue(backoff, 1, new Error(), 0, 0.5)?.getTime(), 1_000);
  assert.equal(nextDue(backoff, 2, new Error(), 0, 0.5)?.getTime(), 5_000);
  assert.equal(nextDue(backoff, 3, new Error(), 0, 0.5), undefined);
});

test("jitter moves a delay by its share at most, either way", () => {
  assert.equal(nextDue(backoff, 1, new Error(), 0, 0)?.getTime(), 800);
  assert.equal(nextDue(backoff, 1, new Error(), 0, 1)?.getTime(), 1_200);
});

test("RetryAfter says when, but adds no attempt", () => {
  const later = new RetryAfter(new Date(60_000));
  assert.equal(nextDue(backoff, 1, later, 0, 0.5)?.getTime(), 60_000);
  assert.equal(nextDue(backoff, 3, later, 0, 0.5), undefined);
});

const base = {
  standing: undefined,
  letterThere: false,
  passed: true,
  originThere: false,
  nowMs: 1_000_000,
  retentionMs: 500_000,
} as const;

test("a retry runs only while its event waits for just this attempt", () => {
  const parcel = { next: 2, packedMs: 999_000 };
  const at = (standing: Parameters<typeof judge>[0]["standing"]) =>
    judge({ ...base, parcel, standing });
  assert.equal(at({ kind: "waiting", attempt: 2 }), "run");
  assert.equal(at({ kind: "waiting", attempt: 3 }), "stale");
  assert.equal(at({ kind: "done" }), "stale");
  assert.equal(at({ kind: "dead" }), "stale");
});

test("a schedule that a crash or a zombie left behind changes nothing, and one that came too early waits", () => {
  const parcel = { next: 2, packedMs: 999_000 };
  assert.equal(judge({ ...base, parcel }), "stale");
  assert.equal(judge({ ...base, parcel, passed: false }), "later");
});

test("where the record is gone with the log's head, nobody can tell: the operator decides", () => {
  assert.equal(judge({ ...base, parcel: { next: 2, packedMs: 100_000 } }), "uncertain");
});

test("a letter that is given back runs as long as it is there and its event is dead", () => {
  const parcel = { next: 1, packedMs: 999_000, letter: 7 };
  const at = (letterThere: boolean, standing: Parameters<typeof judge>[0]["standing"]) =>
    judge({ ...base, parcel, letterThere, standing });
  assert.equal(at(true, { kind: "dead" }), "run");
  assert.equal(at(true, undefined), "run");
  assert.equal(at(false, { kind: "dead" }), "stale");
  assert.equal(at(true, { kind: "done" }), "stale");
  assert.equal(at(true, { kind: "waiting", attempt: 2 }), "stale");
});

test("P2: a letter that a crash left of an event that was handled afterwards runs nothing", () => {
  const parcel = { next: 1, packedMs: 999_000, letter: 7 };
  const left = { ...base, parcel, letterThere: true, originThere: true };
  assert.equal(judge(left), "stale");
  assert.equal(judge({ ...left, passed: false }), "later");
});

test("P1: a zombie's schedule of an earlier attempt leaves the later one alone", () => {
  const original = {
    position: { stream: "EVENTS", seq: 9 },
    natsSubject: "",
    timeMs: 1,
    data: Uint8Array.of(),
  };
  const parcel = { handler: "h", original, attempts: [], packedMs: 1 };
  assert.notEqual(
    retrySubject("app", { ...parcel, next: 2 }),
    retrySubject("app", { ...parcel, next: 3 }),
  );
});

test("a wait that no date can hold is cut to one that the server can read", () => {
  const never = Object.assign(new RetryAfter("1s"), { at: new Date(Number.NaN) });
  assert.equal(nextDue(backoff, 1, never, 5_000, 0.5)?.getTime(), 5_000);
  const long = nextDue({ delaysMs: [1e20], jitter: 0 }, 1, new Error(), 0, 0.5);
  assert.match(long?.toISOString() ?? "", /^\d{4}-/);
});

test("a parcel keeps the original byte for byte, and bytes that are none are undefined", () => {
  const parcel: Parcel = {
    handler: "orders/credit.reserve",
    original: {
      position: { stream: "EVENTS", seq: 12 },
      natsSubject: "events.a.b",
      timeMs: 1,
      headers: Uint8Array.of(0, 255, 13, 10),
      data: Uint8Array.of(1, 2, 3),
    },
    attempts: [{ attempt: 1, atMs: 1, version: "v", error: "Error: \r\n é" }],
    next: 2,
    packedMs: 5,
  };
  const read = decodeParcel(encodeParcel(parcel));
  assert.deepEqual([...(read?.original.headers ?? [])], [0, 255, 13, 10]);
  assert.deepEqual([...(read?.original.data ?? [])], [1, 2, 3]);
  assert.equal(read?.attempts[0]?.error, "Error: \r\n é");
  assert.equal(decodeParcel(Buffer.from("garbage")), undefined);
});
