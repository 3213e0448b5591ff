import assert from "node:assert/strict";
import { test } from "node:test";
import { createPace } from "./pace.ts";

test("no more calls than the limit begin within any of its times, also where a reload changes it", () => {
  const pace = createPace();
  const rate = { limit: 3, perMs: 100 };
  for (const at of [0, 10, 90]) {
    assert.ok(pace.nextAt(rate) <= at);
    pace.begun(rate, at);
  }
  assert.equal(pace.nextAt(rate), 100);
  pace.begun(rate, 100);
  assert.equal(pace.nextAt(rate), 110);
  assert.equal(pace.nextAt({ limit: 1, perMs: 50 }), 150);
  assert.equal(pace.nextAt(undefined), 0);
});
