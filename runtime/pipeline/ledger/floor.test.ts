import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createFloor } from "./floor.ts";

test("the floor stands below the first position in flight, and completed ones above it are intervals", () => {
  const floor = createFloor<string>({ floor: 10, above: [] });
  const slots = [11, 13, 17, 20, 25].map((seq) => floor.deliver(seq, `m${seq}`) as number);
  for (const at of [0, 2, 3]) floor.include(slots[at] as number);
  assert.deepEqual(floor.read(), { floor: 12, above: [17, 20] });
  assert.equal(floor.passed, 10);
  assert.equal(floor.advance(), "m11");
  assert.equal(floor.passed, 11);
  assert.equal(floor.oldest(), "m13");
  assert.equal(floor.inFlight, 2);
});

test("F3: what was included can be taken back until it is stored", () => {
  const floor = createFloor<string>({ floor: 0, above: [] });
  const slot = floor.deliver(1, "a") as number;
  floor.include(slot);
  assert.equal(floor.read().floor, 1);
  floor.exclude(slot);
  assert.equal(floor.read().floor, 0);
  assert.equal(floor.advance(), undefined);
});

test("a redelivery of a known position is not delivered again", () => {
  const floor = createFloor<string>({ floor: 5, above: [] });
  assert.equal(floor.deliver(5, "at the floor"), undefined);
  assert.notEqual(floor.deliver(6, "new"), undefined);
  assert.equal(floor.deliver(6, "again"), undefined);
});

test("positions completed in an earlier life are passed over, also those not delivered again yet", () => {
  const floor = createFloor<string>({ floor: 5, above: [8, 9, 12, 12] });
  const six = floor.deliver(6, "6") as number;
  assert.equal(floor.deliver(8, "8"), undefined);
  assert.deepEqual(floor.read(), { floor: 5, above: [8, 8, 9, 9, 12, 12] });
  floor.include(six);
  assert.equal(floor.advance(), "8");
  assert.equal(floor.deliver(12, "12"), undefined);
});

test("an idle handler's floor can be raised, one with something in flight not", () => {
  const floor = createFloor<string>({ floor: 5, above: [] });
  floor.raise(50);
  assert.equal(floor.passed, 5);
  assert.equal(floor.read().floor, 50);
  floor.advance();
  assert.equal(floor.passed, 50);
  const slot = floor.deliver(60, "60") as number;
  floor.raise(100);
  assert.equal(floor.passed, 50);
  floor.include(slot);
  floor.advance();
  floor.raise(100);
  floor.advance();
  assert.equal(floor.passed, 100);
});

test("F1: a new life that starts from any record misses nothing and repeats nothing completed", () => {
  const steps = fc.array(
    fc.record({ gap: fc.integer({ min: 1, max: 3 }), done: fc.boolean(), stored: fc.boolean() }),
    {
      maxLength: 3_000,
    },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const first = createFloor<number>({ floor: 0, above: [] });
      const completed = new Set<number>();
      const delivered: number[] = [];
      let seq = 0;
      for (const { gap, done, stored } of all) {
        seq += gap;
        delivered.push(seq);
        const slot = first.deliver(seq, seq) as number;
        if (done) {
          first.include(slot);
          completed.add(seq);
        }
        if (stored) first.advance();
      }
      const second = createFloor<number>(first.read());
      for (const position of delivered) {
        const again = second.deliver(position, position) !== undefined;
        assert.equal(again, !completed.has(position), `position ${position}`);
      }
    }),
    { numRuns: 50 },
  );
});
