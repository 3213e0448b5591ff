import assert from "node:assert/strict";
import { test } from "node:test";
import { getHeapSpaceStatistics } from "node:v8";
import { eventually } from "../../tests/support/eventually.ts";
import { collectWhenIdle } from "./idle-heap.ts";

/** Objects that outlive the young generation and are garbage from then on: V8 itself collects them only under need. */
function makeOldGarbage(): void {
  let kept: unknown[] = [];
  for (let round = 0; round < 40; round++) {
    kept.push(Array.from({ length: 20_000 }, (_, n) => ({ n, round })));
  }
  kept = [];
}

function youngBytes(): number {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  return young?.physical_space_size ?? 0;
}

test("I1: what a burst has left is given back once nothing is handled, and not before", async () => {
  makeOldGarbage();
  const left = process.memoryUsage().heapUsed;
  assert.ok(left > 20e6, `${left} bytes are no burst`);
  const young = youngBytes();
  assert.ok(young > 4e6, `${young} bytes of young objects are no burst`);
  let handled = 0;
  let busy = true;
  let looks = 0;
  const end = collectWhenIdle(() => {
    looks++;
    return busy ? handled++ : handled;
  });
  await eventually(() => looks >= 3);
  assert.ok(process.memoryUsage().heapUsed >= left, "it was collected under load");
  busy = false;
  await eventually(() => process.memoryUsage().heapUsed < left / 2);
  assert.ok(youngBytes() < young / 2, "the young generation has kept its pages");
  end();
});
