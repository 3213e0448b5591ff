import assert from "node:assert/strict";
import { test } from "node:test";
import { begun, type Circuit, callableAt, closed, failed, unused } from "./circuit.ts";

const fail = (circuit: Circuit, times: number, nowMs = 0) => {
  for (let time = 0; time < times; time++) circuit = failed(circuit, false, 3, nowMs, 0);
  return circuit;
};

test("C1: so many failures in a row open it; then one call at a time may try, with longer and longer rests", () => {
  assert.equal(callableAt(fail(closed, 2)), 0);
  let circuit = fail(closed, 3, 100);
  assert.equal(callableAt(circuit), 1_100);
  circuit = begun(circuit);
  assert.equal(callableAt(circuit), Number.POSITIVE_INFINITY);
  circuit = failed(circuit, true, 3, 1_100, 0);
  assert.equal(callableAt(circuit), 1_100 + 2_000);
  for (let probe = 0; probe < 50; probe++) circuit = failed(begun(circuit), true, 3, 0, 0);
  assert.equal(callableAt(circuit), 30_000);
});

test("C1: what began before it opened neither opens it further nor ends the probe", () => {
  const circuit = fail(closed, 3);
  assert.deepEqual(failed(circuit, false, 3, 500, 0), circuit);
  assert.deepEqual(failed(begun(circuit), false, 3, 500, 0), begun(circuit));
});

test("a source that says until when to wait is given that time, and a probe that asked nothing may be repeated", () => {
  assert.equal(callableAt(failed(fail(closed, 2), false, 3, 0, 9_000)), 9_000);
  assert.equal(callableAt(unused(begun(fail(closed, 3)), true, 50)), 50);
});
