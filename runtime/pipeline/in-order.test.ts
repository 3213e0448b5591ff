import assert from "node:assert/strict";
import { test } from "node:test";
import { createInOrder } from "./in-order.ts";

test("O1: an answer is used after those of all questions before it, and a failure stops nobody", async () => {
  const inOrder = createInOrder();
  const used: string[] = [];
  const use = (answer: string) => void used.push(answer);
  const fail = (error: unknown) => void used.push(String(error));
  let slow: (answer: string) => void = () => {};
  const first = inOrder(new Promise<string>((resolve) => (slow = resolve)), use, fail);
  const second = inOrder(Promise.resolve("from another thread"), use, fail);
  const third = inOrder(Promise.reject(new Error("no key")), use, fail);
  const fourth = inOrder("at once", use, fail);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(used, []);
  slow("slow");
  await Promise.all([first, second, third, fourth]);
  assert.deepEqual(used, ["slow", "from another thread", "Error: no key", "at once"]);
});

test("O2: where nothing is asked for an answer is used at once", async () => {
  const inOrder = createInOrder();
  const used: string[] = [];
  const use = (answer: string) => void used.push(answer);
  await inOrder(Promise.resolve("a"), use, () => {});
  assert.equal(
    inOrder("b", use, () => {}),
    undefined,
  );
  assert.deepEqual(used, ["a", "b"]);
});
