import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, projection } from "../../runtime/authoring/index.ts";
import { listLetters } from "../../runtime/pipeline/index.ts";
import { openProjectionReader } from "../../runtime/projections/index.ts";
import { startNats } from "../support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../support/pipeline.ts";

const Noted = event("com.acme.noted", Type.Object({ does: Type.String() }));

const view = projection("view", {
  from: [Noted],
  state: Type.Object({ events: Type.Integer({ maximum: 2 }), more: Type.Optional(Type.String()) }),
  retry: ["10ms"],
  key: ({ data }) => (data.does === "key" ? "k".repeat(500) : "one"),
  apply(state, { data }) {
    if (data.does === "throws") throw new Error("cannot");
    const events = data.does === "breaks" ? 3 : (state?.events ?? 0) + 1;
    return data.does === "grows" ? { events, more: "x".repeat(2_000_000) } : { events };
  },
});

test("an event that cannot be folded goes a failing handler's way, its entry is untouched, and the projection says that it lacks it", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ view });
  const bad = ["throws", "breaks", "key", "grows"];
  for (const does of ["folds", ...bad, "folds"])
    await produce(p.broker, [makeTestEvent(Noted.type, `${does}-${Math.random()}`, { does })]);
  const row = (await p.settled()).get("view");
  assert.deepEqual([row?.handled, row?.dead], [2, 4]);
  const reader = await openProjectionReader(p.broker.nc, p.broker);
  assert.deepEqual((await reader.get("view", "one"))?.value, { events: 2 });
  const letters = await listLetters(p.broker);
  const said = letters.map(({ reason, error }) => `${reason}: ${error.message}`);
  for (const expected of [
    /^attempts: cannot/,
    /^permanent: .*breaks its schema.*The entry is unchanged/,
    /^permanent: .*a text of 500 characters.*1 to 200 characters/,
    /^permanent: .*the server takes 1048576. The entry is unchanged/,
  ])
    assert.ok(
      said.some((text) => expected.test(text)),
      `${expected} is not among ${said.join("; ")}`,
    );
  for (const { origin } of letters) {
    const after = { stream: origin.stream, seq: origin.seq };
    const reading = reader.reach("view", { after, waitMs: 2_000 });
    await assert.rejects(reading, { code: "EDDY_PROJECTION_LACKS" });
  }
});
