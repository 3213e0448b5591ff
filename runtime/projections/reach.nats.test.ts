import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../../tests/support/pipeline.ts";
import { event, on, projection } from "../authoring/index.ts";

const Moved = event("com.acme.moved", Type.Object({ to: Type.String() }));
const Other = event("com.acme.other", Type.Object({}));
const places = projection("places", {
  from: [Moved],
  key: (e) => e.subject ?? "",
  apply: (_, e) => e.data,
});

test("a handler that asks after its own event sees what a projection made of it", async () => {
  await using nats = await startNats();
  await using test = await startTestPipeline(nats);
  const seen: unknown[] = [];
  const look = on([Moved, Other], async (event, ctx) => {
    seen.push(await ctx.get(places, event.subject ?? "", { after: event }));
  });
  await test.run({ look, places });
  await test.running("look", "places");
  const expected: unknown[] = [];
  for (let n = 0; n < 50; n++) {
    await produce(test.broker, [
      makeTestEvent(Moved.type, `m${n}`, { to: `p${n}` }, { subject: "k" }),
    ]);
    expected.push({ to: `p${n}` });
    await eventually(() => seen.length === expected.length); // else it may see what came later, too
  }
  await produce(test.broker, [makeTestEvent(Other.type, "o", {}, { subject: "nobody" })]);
  expected.push(undefined);
  await eventually(() => seen.length === expected.length);
  assert.deepEqual(seen, expected);
});

test("an event that is not the handler's own has no position to wait for: the handler's event is dead", async () => {
  await using nats = await startNats();
  await using test = await startTestPipeline(nats);
  const look = on(Moved, async (event, ctx) => {
    await ctx.get(places, "k", { after: { ...event } });
  });
  await test.run({ look, places });
  await test.running("look", "places");
  await produce(test.broker, [makeTestEvent(Moved.type, "m", { to: "p" })]);
  const dead = await eventually(() =>
    test.facts.find((fact) => fact.kind === "outcome" && fact.outcome === "dead"),
  );
  assert.ok(dead?.kind === "outcome" && dead.outcome === "dead");
  assert.match(dead.reason ?? "", /^permanent: .*asked to read after .* only its own event/);
});
