import assert from "node:assert/strict";
import { test } from "node:test";
import { createAnswers, nextFor } from "./answers.ts";

const notified = (seq: number, beganMs: number) => ({ position: { seq }, beganMs });

test("A1: an answer holds for what had arrived when its call began, and for nothing later", () => {
  const last = { kind: "stored", beganMs: 100, arrived: 7 } as const;
  assert.deepEqual(nextFor(last, notified(7, 900), 50), { kind: "spared" });
  assert.deepEqual(nextFor(last, notified(8, 90), 50), { kind: "ask", atMs: 150 });
});

test("A2: a failure holds for those who waited when the call began; that the source is down holds for nobody", () => {
  const error = new Error("no");
  const last = { kind: "failed", beganMs: 100, error } as const;
  assert.deepEqual(nextFor(last, notified(1, 100), 50), { kind: "failed", error });
  assert.deepEqual(nextFor(last, notified(1, 101), 50), { kind: "ask", atMs: 150 });
  const down = { kind: "unanswered", beganMs: 100 } as const;
  assert.deepEqual(nextFor(down, notified(1, 100), 50), { kind: "ask", atMs: 150 });
});

test("A3: keys are remembered up to a number, the oldest goes first, and none that runs", () => {
  const answers = createAnswers();
  const over = Promise.resolve();
  answers.set("running", { kind: "running", beganMs: 0, over });
  for (let at = 0; at < 10_500; at++) {
    answers.set(`k${at}`, { kind: "unanswered", beganMs: at });
  }
  assert.equal(answers.get("running")?.kind, "running");
  assert.equal(answers.get("k400"), undefined);
  assert.equal(answers.get("k10499")?.beganMs, 10_499);
});
