import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivery } from "../../broker/index.ts";
import type { Scope } from "../scope.ts";
import { collectArrivals } from "./arrivals.ts";

const scope = { broker: { app: "test" }, handler: () => ({ name: "note" }) } as unknown as Scope;
const delivery = (seq: number, bytes: number) =>
  ({ seq, raw: Buffer.alloc(bytes), pending: 1 }) as unknown as Delivery;

test("what waits for a trial is bounded by count and by bytes, and has room again once some is taken", () => {
  const many = collectArrivals(scope, "EVENTS", () => 0);
  for (let seq = 1; seq < 2_000; seq++) many.add(delivery(seq, 300));
  assert.equal(many.hasRoom, true);
  many.add(delivery(2_000, 300));
  assert.equal(many.hasRoom, false);
  assert.deepEqual(
    many.take(2).map(({ seq }) => seq),
    [1, 2],
  );
  assert.equal(many.hasRoom, true);

  const large = collectArrivals(scope, "EVENTS", () => 0);
  for (let seq = 1; seq <= 16; seq++) large.add(delivery(seq, 2 ** 20));
  assert.equal(large.hasRoom, false);
  large.take(1);
  assert.equal(large.hasRoom, true);
});
