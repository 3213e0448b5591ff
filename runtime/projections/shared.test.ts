import assert from "node:assert/strict";
import { test } from "node:test";
import { createShared } from "./shared.ts";

test("S1: who asks while a question is under way shares the next one, and an answer is never older than its question", async () => {
  const shared = createShared<number>();
  const open: ((answer: number) => void)[] = [];
  const ask = () => new Promise<number>((resolve) => open.push(resolve));
  const first = shared("p", ask);
  const crowd = Array.from({ length: 100 }, () => shared("p", ask));
  const other = shared("q", ask);
  assert.equal(open.length, 2);
  open[1]?.(7);
  assert.equal(await other, 7);
  open[0]?.(1);
  assert.equal(await first, 1);
  await new Promise(setImmediate);
  assert.equal(open.length, 3);
  const late = shared("p", ask); // the second one was sent already
  open[2]?.(2);
  assert.deepEqual(new Set(await Promise.all(crowd)), new Set([2]));
  await new Promise(setImmediate);
  assert.equal(open.length, 4);
  open[3]?.(3);
  assert.equal(await late, 3);
});

test("a question that fails fails for those who share it, and the next one is asked", async () => {
  const shared = createShared<number>();
  const failing = () => Promise.reject(new Error("no answer"));
  await assert.rejects(shared("p", failing), /no answer/);
  const [one, two] = [shared("p", failing), shared("p", async () => 1)];
  await assert.rejects(one, /no answer/);
  assert.equal(await two, 1);
});
