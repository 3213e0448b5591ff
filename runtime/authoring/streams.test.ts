import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, projection } from "./index.ts";

const Moved = event("com.acme.moved", Type.Object({ who: Type.String() }));
const view = (streams: unknown) => {
  const base = { from: [Moved], key: () => "k", apply: () => ({}) };
  return projection("view", { ...base, streams: streams as string[] });
};

test("further streams are named, once each and not too many", () => {
  assert.deepEqual(view(["HUB", "site-2"]).options.streams, ["HUB", "site-2"]);
  assert.equal(view(undefined).options.streams, undefined);
  const nine = Array.from({ length: 9 }, (_, n) => `S${n}`);
  for (const wrong of [[], nine, "HUB", ["a.b"], ["a b"], ["*"], [">"], [""], [7], ["A", "A"]])
    assert.throws(() => view(wrong), { code: "EDDY_DECLARATION", message: /view.*streams/ });
});
