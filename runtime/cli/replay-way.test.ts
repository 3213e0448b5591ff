import assert from "node:assert/strict";
import { test } from "node:test";
import { progressLine } from "./progress.ts";
import { checkComparison, wayOf } from "./replay-way.ts";

const refused = { code: "EDDY_USAGE" };

test("each way of a replay means one thing, and what means nothing is refused", () => {
  assert.deepEqual(wayOf("reaction", {}), { kind: "look" });
  assert.deepEqual(wayOf("reaction", { dryRun: true }), { kind: "look" });
  assert.deepEqual(wayOf("reaction", { effects: true }), { kind: "effects", dry: false });
  assert.deepEqual(wayOf("reaction", { effects: true, dryRun: true }), {
    kind: "effects",
    dry: true,
  });
  assert.deepEqual(wayOf("reaction", { effects: true, into: "x" }), { kind: "into", name: "x" });
  assert.deepEqual(wayOf("projection", { into: "x" }), { kind: "into", name: "x" });
  assert.deepEqual(wayOf("projection", { dryRun: true }), { kind: "look" });
  assert.throws(() => wayOf("projection", {}), refused);
  assert.throws(() => wayOf("projection", { effects: true, into: "x" }), refused);
  assert.throws(() => wayOf("reaction", { into: "x" }), refused);
  assert.throws(() => wayOf("reaction", { into: "x", effects: true, dryRun: true }), refused);
  for (const into of ["", "a.b", "a b", "*", ">", "x".repeat(65)])
    assert.throws(() => wayOf("projection", { into }), refused, into);
  for (const other of [{ dryRun: true }, { into: "" }, { effects: true }] as const)
    assert.throws(() => checkComparison(other), refused);
  checkComparison({});
});

test("progress tells the share, the rate and what is left", () => {
  const at = (seq: number) => new Map([["EVENTS", seq]]);
  const span = [{ stream: "EVENTS", from: 1_001, to: 3_000 }];
  assert.equal(progressLine(at(1_500), span, 0, 1_000), "25 % at 1500 of 3000, 500/s, 3 s left");
  assert.equal(progressLine(at(3_000), span, 0, 1_000), "100 % at 3000 of 3000, 2000/s, 0 s left");
  const slow = [{ stream: "EVENTS", from: 1, to: 100_000 }];
  assert.match(progressLine(at(10), slow, 0, 1_000), /, 10\/s, 2 h 46 min left$/);
  const two = [...span, { stream: "HUB", from: 1, to: 2_000 }];
  assert.equal(
    progressLine(at(2_000), two, 0, 1_000),
    "25 % at EVENTS:2000 of 3000, HUB:0 of 2000, 1000/s, 3 s left",
  );
});
