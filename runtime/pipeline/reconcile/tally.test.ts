import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { noCounts } from "../ledger/counts.ts";
import { createCursorTallies } from "./cursor-tally.ts";
import { createTally, type Mark } from "./tally.ts";

const mark = (delivered: number, floor: number, above: number[] = [], duplicate = 0): Mark => ({
  floor,
  above,
  counts: { ...noCounts(), delivered, handled: delivered - duplicate, duplicate },
});

test("as many events were completed as were counted: nothing is missing", () => {
  const tally = createTally(1, 1);
  tally.record(mark(0, 0));
  for (const seq of [1, 2, 3, 5, 8]) tally.event(seq, 0, false);
  tally.record(mark(2, 0, [2, 3]));
  tally.record(mark(4, 5));
  const { events, lag, gaps, excess } = tally.result();
  assert.deepEqual({ events, lag, gaps, excess }, { events: 5, lag: 1, gaps: [], excess: 0 });
});

test("T2: a position that was passed without being counted is suspected, one with a trace is not", () => {
  const tally = createTally(1, 1);
  tally.record(mark(0, 0));
  for (const seq of [1, 2, 3, 4, 5]) tally.event(seq, 0, seq === 5);
  tally.trace(1);
  tally.record(mark(1, 1));
  tally.trace(2);
  tally.trace(4);
  tally.record(mark(4, 5));
  assert.deepEqual(tally.result().gaps, [{ count: 1, suspects: [3], suspected: 1 }]);
});

test("an event that was counted twice, and a duplicate that repeats nothing", () => {
  const tally = createTally(1, 1);
  tally.record(mark(0, 0));
  for (const seq of [1, 2, 3]) tally.event(seq, 0, seq === 2);
  tally.record(mark(4, 3, [], 2));
  const { excess, falseDuplicates } = tally.result();
  assert.deepEqual({ excess, falseDuplicates }, { excess: 1, falseDuplicates: 1 });
});

test("a type that the declaration got later was passed before, and that is no loss", () => {
  const tally = createTally(2, 1);
  tally.record(mark(0, 0));
  for (const seq of [1, 2, 3, 4]) tally.event(seq, seq % 2, false);
  tally.record(mark(2, 4));
  for (const seq of [5, 6]) tally.event(seq, seq % 2, false);
  tally.record(mark(4, 6));
  assert.deepEqual([tally.result().unwanted, tally.result().gaps], [2, []]);
  for (const seq of [7, 8]) tally.event(seq, seq % 2, false);
  tally.record(mark(5, 8));
  assert.equal(tally.result().gaps[0]?.count, 1);
});

test("a ledger that went back is not compared over that step", () => {
  const tally = createTally(1, 1);
  tally.record(mark(10, 10));
  tally.record(mark(0, 0));
  tally.event(11, 0, false);
  tally.record(mark(1, 11));
  const { restarts, gaps, excess } = tally.result();
  assert.deepEqual({ restarts, gaps, excess }, { restarts: 1, gaps: [], excess: 0 });
});

test("records from before the cut are not compared: what they had open may be gone", () => {
  const tally = createTally(1, 90);
  tally.record(mark(80, 85));
  tally.event(90, 0, false);
  tally.record(mark(86, 90));
  tally.event(91, 0, false);
  tally.record(mark(87, 91));
  const { gaps, excess, lag } = tally.result();
  assert.deepEqual({ gaps, excess, lag }, { gaps: [], excess: 0, lag: 0 });
});

test("any order of completion balances, in steps of any size, and a lost one never goes unseen", () => {
  const lives = fc.record({
    order: fc.shuffledSubarray(
      Array.from({ length: 60 }, (_, n) => n + 1),
      { minLength: 60, maxLength: 60 },
    ),
    steps: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 30, maxLength: 60 }),
    lost: fc.option(fc.integer({ min: 0, max: 59 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(lives, ({ order, steps, lost }) => {
      const tally = createTally(1, 1);
      tally.record(mark(0, 0));
      for (let seq = 1; seq <= 60; seq++) tally.event(seq, 0, false);
      const done = new Set<number>();
      let at = 0;
      let delivered = 0;
      for (const step of steps) {
        for (const seq of order.slice(at, at + step)) {
          done.add(seq);
          if (at + step > (lost ?? -1) && order[lost ?? -1] === seq) continue;
          delivered++;
        }
        at += step;
        tally.record(mark(delivered, ...floorOf(done)));
      }
      const { gaps, excess, lag } = tally.result();
      assert.equal(excess, 0);
      assert.equal(lag, 60 - done.size);
      const gone = order[lost ?? -1];
      const found = gaps.flatMap(({ suspects }) => suspects);
      if (gone === undefined || !done.has(gone)) assert.deepEqual(gaps, []);
      else assert.ok(found.includes(gone), `${gone} is not among ${found}`);
    }),
  );
});

function floorOf(done: ReadonlySet<number>): [number, number[]] {
  let floor = 0;
  while (done.has(floor + 1)) floor++;
  const above: number[] = [];
  for (let seq = floor + 1; seq <= 61; seq++) {
    if (done.has(seq) && !done.has(seq - 1)) above.push(seq);
    if (!done.has(seq) && done.has(seq - 1) && above.length % 2 === 1) above.push(seq - 1);
  }
  return [floor, above];
}

test("a projection's cursor is compared as a whole, where its beginning is known", () => {
  const { counts } = mark(3, 2);
  const tallied = (isBase: boolean, ...above: (readonly number[])[]) => {
    const inputs = above.map((above) => ({ stream: "S", createdMs: 1, floor: 2, above }));
    const tallies = createCursorTallies({ inputs, counts, isBase });
    for (const tally of tallies) for (const seq of [1, 2, 3, 4, 5, 6]) tally.event(seq, 0, false);
    return tallies[0]?.result();
  };
  assert.deepEqual(tallied(true, [4, 5])?.gaps, [{ count: 1, suspects: [], suspected: 4 }]);
  assert.equal(tallied(true, [4, 5])?.lag, 2);
  assert.deepEqual(tallied(false, [4, 5])?.gaps, []);
  assert.deepEqual(tallied(true, [], [4, 4])?.gaps, [{ count: 2, suspects: [], suspected: 5 }]);
  assert.deepEqual([tallied(true, [], [])?.gaps.length, tallied(true, [])?.excess], [1, 1]);
});
