import assert from "node:assert/strict";
import { test } from "node:test";
import { createFlight } from "./flight.ts";

/** A flight with these calls sent, numbered from 1. */
function sent(...calls: string[]) {
  const flight = createFlight<string>();
  for (const call of calls) flight.add(call);
  assert.deepEqual(
    flight.next().map(({ call }) => call),
    calls,
  );
  return flight;
}

const names = (calls: readonly { call: string }[]) => calls.map(({ call }) => call);

test("F2 F4: who kept the thread busy is to blame, and all others are sent again in their order", () => {
  const flight = sent("a", "b", "c", "d");
  flight.settle(1);
  flight.add("e");
  assert.equal(flight.died(3, 3), "c");
  assert.deepEqual(names(flight.next()), ["b", "d", "e"]);
});

test("F1: where nothing was begun nobody is to blame", () => {
  const flight = sent("a", "b");
  assert.equal(flight.died(0, 0), undefined);
  assert.deepEqual(names(flight.next()), ["a", "b"]);
});

test("F3: where it is not known those that were begun are tried alone, first, until it is", () => {
  const flight = sent("a", "b", "c", "d");
  assert.equal(flight.died(3, 0), undefined);
  const [first] = flight.next();
  assert.equal(first?.call, "a");
  assert.deepEqual(flight.next(), []);
  flight.settle(first?.number ?? 0);
  const [second] = flight.next();
  assert.equal(second?.call, "b");
  assert.equal(flight.died(2, 0), "b");
  assert.deepEqual(names(flight.next()), ["c"]);
  flight.settle(1);
  assert.deepEqual(names(flight.next()), ["d"]);
  assert.equal(flight.size, 1);
});

test("F3: who is the only one that was begun is to blame", () => {
  const flight = sent("a", "b");
  flight.settle(1);
  assert.equal(flight.died(2, 0), "b");
  assert.equal(flight.size, 0);
});
