import assert from "node:assert/strict";
import { test } from "node:test";
import { createGate } from "./gate.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("G1: work runs side by side up to the width, the rest follows in order", async () => {
  let idle = 0;
  const gate = createGate(2, () => idle++);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  for (let n = 0; n < 5; n++) {
    gate.enter(() => {
      begun.push(n);
      return new Promise((resolve) => ends.push(resolve));
    });
  }
  assert.deepEqual([begun, gate.running], [[0, 1], 2]);
  ends[1]?.();
  await turn();
  assert.deepEqual([begun, gate.running], [[0, 1, 2], 2]);
  gate.clear();
  for (const end of ends) end();
  await turn();
  assert.deepEqual([begun, gate.running, idle], [[0, 1, 2], 0, 1]);
});
