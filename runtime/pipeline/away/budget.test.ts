import assert from "node:assert/strict";
import { test } from "node:test";
import { createBudget } from "./budget.ts";

/** Asks for turns; gives who is inside, in order, and what each gives back. */
function asked(bytesMax: number, sizes: readonly number[]) {
  const budget = createBudget(bytesMax);
  const inside: number[] = [];
  const leaves = new Map<number, () => void>();
  for (const [at, bytes] of sizes.entries()) {
    void budget.enter(bytes).then((leave) => {
      inside.push(at);
      leaves.set(at, leave);
    });
  }
  const soon = () => new Promise((resolve) => setImmediate(resolve));
  return { inside, leave: (at: number) => leaves.get(at)?.(), soon };
}

test("B1: a small one behind a large one that has to wait does not overtake it", async () => {
  const { inside, leave, soon } = asked(10, [6, 6, 1]);
  await soon();
  assert.deepEqual(inside, [0]);
  leave(0);
  leave(0); // counts once
  await soon();
  assert.deepEqual(inside, [0, 1, 2]);
});

test("B2: what is larger than the budget runs alone, and all get their turn", async () => {
  const { inside, leave, soon } = asked(10, [5, 50, 5, 5]);
  await soon();
  assert.deepEqual(inside, [0]);
  leave(0);
  await soon();
  assert.deepEqual(inside, [0, 1]);
  leave(1);
  await soon();
  assert.deepEqual(inside, [0, 1, 2, 3]);
});
