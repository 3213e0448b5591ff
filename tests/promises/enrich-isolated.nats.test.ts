import assert from "node:assert/strict";
import { test } from "node:test";
import { ofType } from "../support/log.ts";
import { startSource, type TestSource } from "../support/source.ts";
import { countsOf, startWorld } from "../support/world.ts";

const isolated = (source: TestSource) => `
import { enrich, event, Type } from "eddyline";
const Told = event("com.acme.told", Type.Object({ key: Type.String() }), { carries: "reference" });
const Known = event("com.acme.known", Type.Object({ key: Type.String(), version: Type.Integer() }), {
  carries: "state", key: "key", deletion: "never",
});
export const look = enrich(Told, Known, { start: "first", share: "300ms" }, async ({ data }, { signal }) =>
  await (await fetch("${source.url}/" + data.key, { signal })).json());
`;

test("a source is asked from a thread of its own: one call for many, in a thread as in the runtime's, also across a reload", async () => {
  await using source = await startSource();
  await using world = await startWorld({ "look.ts": isolated(source) });
  const told = Array.from({ length: 200 }, (_, n) => {
    return { id: `t${n}`, type: "com.acme.told", data: { key: `k${n % 4}` } };
  });
  await using node = await world.start({ env: { EDDY_FOLDERS: "{look.ts: {isolation: thread}}" } });
  await world.produce(told.slice(0, 100));
  world.write("look.ts", `${isolated(source)}\n// again\n`);
  for (const n of [0, 1, 2, 3]) source.change(`k${n}`);
  await world.produce(told.slice(100));
  assert.deepEqual(countsOf(await world.settled(), "look.look"), [200, 200, 0, 0]);
  const known = ofType(await world.log(), "com.acme.known");
  assert.equal(known.length, source.callCount, "one event for each call");
  assert.ok(known.length < 60, `${known.length} calls for 200 notifications`);
  const metrics = await (await fetch(`${node.url}/metrics`)).text();
  const saved = /eddy_enrich_calls_saved_total\{handler="look.look"\} (\d+)/.exec(metrics)?.[1];
  assert.equal(Number(saved), 200 - known.length);
});
