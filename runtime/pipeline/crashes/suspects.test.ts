import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { noCounts } from "../ledger/counts.ts";
import type { InputRecord, LedgerRecord, Trial } from "../ledger/record.ts";
import { deathsOf } from "./again.ts";
import { createGate } from "./gate.ts";
import { nextStep } from "./steps.ts";
import { predecessorOf, treatmentIn, trialAfter } from "./suspects.ts";

const input = (floor: number, above: readonly number[] = []): InputRecord => ({
  stream: "EVENTS",
  createdMs: 1,
  floor,
  above,
});
const record = (more: Partial<LedgerRecord> = {}, at = input(10)): LedgerRecord => ({
  epoch: 1,
  instance: "A",
  commit: 3,
  counts: noCounts(),
  inputs: [at],
  ...more,
});
const after = (
  before: LedgerRecord,
  delivered: { upTo: number; unacked: number; pulled?: boolean } = { upTo: 20, unacked: 10 },
  instance = "B",
) => {
  const seen = { pulled: false, ...delivered };
  const at = before.inputs[0] ?? input(0);
  return trialAfter(at.trial, predecessorOf(before, instance, [seen]).died, at, seen);
};
const suspected = (trial: Trial, at = input(10), more: Partial<LedgerRecord> = {}) =>
  record(more, { ...at, trial });

test("X1: after a stop that was recorded, and in the same process, nobody is suspect", () => {
  assert.equal(after(record({ clean: true })), undefined);
  assert.equal(after(record(), undefined, "A"), undefined);
  assert.equal(after(record(), { upTo: 20, unacked: 0 }), undefined);
  assert.equal(after(record(), { upTo: 10, unacked: 5 }), undefined);
  assert.equal(trialAfter(undefined, true, input(10), undefined), undefined);
});

test("X1: whoever still pulls when another one takes over has not died, and counts against nobody", () => {
  const pulled = { upTo: 20, unacked: 1, pulled: true };
  assert.equal(after(record(), pulled), undefined);
  const again = after(suspected(marked([13], 2, true)), pulled);
  assert.equal(again?.marker?.deaths, 2);
});

test("after a death the open positions up to the last delivered one are suspects, no more than were un-acked", () => {
  assert.deepEqual(after(record()), { upTo: 20, count: 10 });
  assert.deepEqual(after(record(), { upTo: 500_000, unacked: 7 })?.count, 7);
  assert.equal(after(record({}, input(10, [12, 18])))?.count, 3);
  const many = after(record(), { upTo: 9_000, unacked: 8_000 }) as Trial;
  assert.deepEqual(treatmentIn(many, input(10), 3)(500), { kind: "group", size: 256 });
});

const marked = (seqs: readonly number[], deaths: number, active: boolean, size = 1): Trial => ({
  upTo: 900,
  count: 800,
  marker: { seqs, size, deaths, active },
});

test("X2: a death counts against the one that ran alone, and only if it ran", () => {
  const died = (trial: Trial) => after(suspected(trial))?.marker;
  assert.deepEqual(died(marked([13], 1, true)), { seqs: [13], size: 1, deaths: 2, active: false });
  assert.deepEqual(died(marked([13], 2, true)), { seqs: [13], size: 1, deaths: 3, active: false });
  assert.deepEqual(died(marked([13], 2, false)), { seqs: [13], size: 1, deaths: 2, active: false });
  const stopped = after(suspected(marked([13], 2, true), undefined, { clean: true }));
  assert.equal(stopped?.marker?.deaths, 2);
});

test("X3: a death of a group counts against nobody; next time these are tried in smaller ones, until each is alone", () => {
  const next = after(suspected(marked([12, 13, 14], 1, true, 256))) as Trial;
  assert.deepEqual(next.marker, { seqs: [12, 13, 14], size: 16, deaths: 1, active: false });
  const treat = treatmentIn(next, input(10), 3);
  assert.deepEqual(treat(13), { kind: "group", size: 16 });
  assert.deepEqual(treat(16), { kind: "group", size: 256 });
  const last = after(suspected(marked([12, 13], 1, true, 16))) as Trial;
  const alone = treatmentIn(last, input(10), 3)(13);
  assert.deepEqual(alone, { kind: "alone", deaths: 1, marked: true });
});

test("X4: what has its outcome is no suspect any more; where none is left, the trial is over", () => {
  const trial = marked([12, 13], 1, true);
  const left = after(suspected(trial, input(10, [12, 12])));
  assert.deepEqual(left?.marker?.seqs, [13]);
  assert.equal(left?.marker?.deaths, 1); // of two
  assert.equal(after(suspected(trial, input(900))), undefined);
});

test("a trial that was not finished goes on with its own suspects: what was delivered behind them never ran", () => {
  const next = after(suspected(marked([13], 1, true)), { upTo: 9_000, unacked: 8_000 });
  assert.equal(next?.upTo, 900);
});

test("an event is condemned once it has cost as many deaths as are allowed", () => {
  const treat = treatmentIn(marked([13], 3, false), input(10), 3);
  assert.deepEqual(treat(13), { kind: "dead", deaths: 3 });
  assert.deepEqual(treat(14), { kind: "group", size: 256 });
  assert.deepEqual(treat(901), { kind: "free" });
  assert.deepEqual(treat(9), { kind: "completed" });
});

test("a group runs once it is full, or nothing more comes; what is known is handed on", () => {
  const trial: Trial = { upTo: 900, count: 800 };
  const treat = treatmentIn(trial, input(10, [11, 12]), 3);
  const step = (seqs: number[], complete = false) => nextStep(seqs, treat, complete);
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  const group = { kind: "try", size: 256, deaths: 0, marked: false };
  assert.equal(step([]), undefined);
  assert.deepEqual(step([], true), { kind: "over" });
  assert.deepEqual(step([11, 13]), { kind: "pass" });
  assert.equal(step([13, 14]), undefined);
  assert.deepEqual(step([13, 14], true), { ...group, count: 2 });
  assert.deepEqual(step(range(13, 600)), { ...group, count: 256 });
  assert.deepEqual(step([899, 900, 901]), { ...group, count: 2 });
  assert.deepEqual(step([901]), { kind: "over" });
});

test("P4: wherever the killer stands, it alone is condemned, after n deaths of its own; one more where others were in flight, and two more to find it among many", () => {
  const killers = fc.record({
    unacked: fc.integer({ min: 1, max: 2_000 }),
    at: fc.nat(1_999),
    deathsMax: fc.integer({ min: 2, max: 5 }),
  });
  fc.assert(
    fc.property(killers, ({ unacked, at, deathsMax }) => {
      const killer = 11 + (at % unacked);
      const { deaths, condemned } = live(unacked, killer, deathsMax);
      assert.deepEqual(condemned, [killer]);
      const inCompany = (unacked > 1 ? 1 : 0) + (unacked > 64 ? 2 : 0);
      assert.ok(deaths >= deathsMax && deaths <= deathsMax + inCompany, `${deaths}`);
    }),
    { numRuns: 100 },
  );
});

/** Lives of one handler whose event `killer` ends each: what a runtime does with markers, without one. */
function live(unacked: number, killer: number, deathsMax: number) {
  const condemned: number[] = [];
  let before = record();
  for (let deaths = 1; deaths < 20; deaths++) {
    const instance = `life ${deaths}`;
    const at = before.inputs[0] as InputRecord;
    const seen = { upTo: 10 + unacked, unacked, pulled: false };
    const { died } = predecessorOf(before, instance, [seen]);
    const trial = trialAfter(at.trial, died, at, seen);
    const treat = trial && treatmentIn(trial, at, deathsMax);
    let { floor } = at;
    let marker = trial?.marker;
    while (trial !== undefined && treat !== undefined && floor < trial.upTo) {
      const seqs = Array.from({ length: trial.upTo - floor }, (_, i) => floor + 1 + i);
      const step = nextStep(seqs, treat, true);
      if (step?.kind === "dead") condemned.push(seqs[0] as number);
      if (step?.kind === "try") {
        const running = seqs.slice(0, step.count);
        marker = { seqs: running, size: step.size, deaths: step.deaths, active: true };
        if (running.includes(killer)) break; // the worst case: nothing beside it was stored
      }
      floor += step?.kind === "try" ? step.count : 1;
    }
    if (trial !== undefined && floor >= trial.upTo) return { deaths, condemned };
    const left = trial && { ...trial, ...(marker === undefined ? {} : { marker }) };
    const reached = input(floor);
    before = record({ instance }, left === undefined ? reached : { ...reached, trial: left });
  }
  throw new Error("it never lives");
}

test("a retry counts the deaths of the instance that ran it, where that did not stop", () => {
  const waiting = { kind: "waiting", attempt: 2, started: { instance: "A", deaths: 1 } } as const;
  assert.equal(deathsOf(waiting, { instance: "A", died: true }), 2);
  assert.equal(deathsOf(waiting, { instance: "A", died: false }), 1);
  assert.equal(deathsOf(waiting, { instance: "C", died: true }), 1);
  assert.equal(deathsOf({ kind: "waiting", attempt: 2 }, { instance: "A", died: true }), -1);
  assert.equal(deathsOf(undefined, undefined), -1);
  const shared = { kind: "parked", started: { instance: "A", deaths: -1 } } as const;
  assert.equal(deathsOf(shared, { instance: "A", died: true }), 0); // R1
});

test("G1 G2: those that may share go in together; one that has to be alone waits for them, and all others for it", async () => {
  const gate = createGate();
  const order: string[] = [];
  const enter = (name: string, alone: boolean) =>
    gate.enter(alone).then((leave) => {
      order.push(name);
      return leave;
    });
  const [a, b] = await Promise.all([enter("a", false), enter("b", false)]);
  const waiting = [enter("c", true), enter("d", false), enter("e", true)] as const;
  a();
  a(); // twice is once
  await Promise.resolve();
  assert.deepEqual(order, ["a", "b"]);
  b();
  (await waiting[0])();
  (await waiting[1])();
  (await waiting[2])();
  assert.deepEqual(order, ["a", "b", "c", "d", "e"]);
});
