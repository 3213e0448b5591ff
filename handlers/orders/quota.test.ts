import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { claim, quotaOf, refusalTold, release, verdict } from "./quota.ts";

test("Q1, Q2: whatever is claimed and released, the claims fit the limit and name each order once", () => {
  const id = fc.constantFrom("a", "b", "c", "__proto__");
  const step = fc.oneof(
    fc.record({ kind: fc.constant("claim" as const), id, amount: fc.nat(10) }),
    fc.record({ kind: fc.constantFrom("release" as const, "told" as const), id }),
  );
  const steps = fc.array(step);
  fc.assert(
    fc.property(fc.nat(12), steps, (limit, taken) => {
      let quota = quotaOf(limit);
      for (const s of taken) {
        if (s.kind === "claim") quota = claim(quota, s.id, s.amount);
        else quota = s.kind === "release" ? release(quota, s.id) : refusalTold(quota, s.id);
        const ids = [...quota.claims.map((c) => c.orderId), ...quota.refused];
        assert.equal(new Set(ids).size, ids.length);
        assert.ok(quota.claims.reduce((sum, c) => sum + c.amount, 0) <= limit);
      }
    }),
  );
});

test("a verdict waits for a fold that is some milliseconds behind", async () => {
  const folds = [undefined, quotaOf(1), claim(quotaOf(1), "o-1", 1)];
  assert.equal(await verdict("o-1", async () => folds.shift()), true);
  assert.equal(await verdict("o-1", async () => claim(quotaOf(0), "o-1", 1)), false);
});
