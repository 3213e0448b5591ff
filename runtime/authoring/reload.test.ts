import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, on, reloadRule } from "./index.ts";

const Placed = event("com.acme.order.placed", Type.Object({}));
const nonsense = { code: "EDDY_DECLARATION", message: /reload/ };

test("reload asks for nothing, for a check, or for a check with what may differ; all else is refused", () => {
  assert.equal(reloadRule(on(Placed, () => {}).options.reload), undefined);
  const checked = on(Placed, { reload: "verify" }, () => {});
  assert.deepEqual(reloadRule(checked.options.reload), { events: 1_000, allow: [] });
  const some = on(Placed, { reload: { verify: 5, allow: ["emits"] } }, () => {});
  assert.deepEqual(reloadRule(some.options.reload), { events: 5, allow: ["emits"] });
  const wrong: unknown[] = ["auto", true, null, {}, { verify: 0 }, { verify: 1.5 }];
  wrong.push({ verify: 10_001 }, { verify: 1, allow: "emits" }, { verify: 1, allow: ["all"] });
  for (const reload of wrong)
    assert.throws(() => on(Placed, { reload: reload as "verify" }, () => {}), nonsense);
});
