import assert from "node:assert/strict";
import { test } from "node:test";
import { createPace } from "./ingress-pace.ts";

function paceAt(utilization: number) {
  let ms = 0;
  const loop = { idle: 0, active: 0, utilization };
  const pace = createPace(
    () => ms,
    () => loop,
  );
  return {
    pace,
    loop,
    /** So many answers, one each so often, while others wait. */
    answers(count: number, eachMs: number, waiting = 20) {
      for (let n = 0; n < count; n++) {
        ms += eachMs;
        pace.answered(waiting);
      }
    },
    pass: (more: number) => {
      ms += more;
    },
  };
}

test("P1: it begins with publishes, and turns to batches once it waits for the server", () => {
  const { pace, answers } = paceAt(0.3);
  assert.equal(pace.gathers, false);
  answers(63, 0.5);
  assert.equal(pace.gathers, false);
  answers(1, 0.5);
  assert.equal(pace.gathers, true);
});

test("P1: a process that is busy itself, or waits for nobody, gains nothing by batches", () => {
  const own = paceAt(0.95);
  own.answers(200, 0.5);
  assert.equal(own.pace.gathers, false);
  const idle = paceAt(0.1);
  for (let n = 0; n < 200; n++) idle.answers(1, 5, n % 30 === 0 ? 0 : 3);
  assert.equal(idle.pace.gathers, false);
});

test("P1: batches that are no faster than publishes were end at once, others after a while to measure again", () => {
  const { pace, answers, pass } = paceAt(0.3);
  answers(64, 0.5);
  pace.stored(20, 5);
  assert.equal(pace.gathers, true);
  pace.stored(20, 11);
  assert.equal(pace.gathers, false);
  answers(64, 0.5);
  assert.equal(pace.gathers, true);
  pass(10_000);
  assert.equal(pace.gathers, false);
});
