import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { startNats } from "../../../tests/support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../../../tests/support/pipeline.ts";
import { event, type Handler, on } from "../../authoring/index.ts";
import { identitiesStream } from "../../broker/index.ts";
import { readLog } from "./read-log.ts";
import { readRepeatsIn } from "./repeats-in.ts";

const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Other = event("com.acme.order.other", Type.Object({ n: Type.Integer() }));
const note = on(
  Placed,
  { start: "first", where: { data: { n: [{ "anything-but": [0] }] } } },
  () => {},
);
const handler: Handler = { name: "note", file: "note.ts", version: "v1", declaration: note };
const placed = (id: string, n: unknown) => makeTestEvent(Placed.type, id, { n });

test("L1: each event of the handler has the verdict that it had live, from the blocks or from the log alone", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({ note });
  await produce(p.broker, [
    placed("a", 1),
    placed("b", 0),
    placed("c", "x"),
    makeTestEvent(Other.type, "o", { n: 1 }),
    placed("a", 1),
    placed("d", 2),
  ]);
  await p.broker.js.publish("events.com.acme.order.placed.k", "no event");
  await p.broker.js.publish(
    "events.com.acme.order.placed.k",
    JSON.stringify({ ...placed("e", 3), type: "t" }),
  );
  const live = (await p.settled()).get("note");
  await p.stop(); // its blocks are stored

  await using again = await startTestPipeline(nats);
  const { broker } = again;
  const { state } = await broker.jsm.streams.info("EVENTS");
  const look = async (from = 1) => {
    const ranges = [{ stream: "EVENTS", from, to: state.last_seq }];
    const repeatsIn = await readRepeatsIn(broker, ranges);
    const seen: string[] = [];
    const reading = { broker, versions: [handler], repeatsIn, sliceMax: 3 };
    for await (const slice of readLog(reading, ranges)) {
      for (const { sighting } of slice.seen[0] ?? []) {
        const what = sighting.kind === "dead" ? sighting.cause.code : sighting.event.id;
        seen.push(`${sighting.kind} ${what}`);
      }
    }
    return seen;
  };
  const expected = [
    "event a",
    "filtered b",
    "dead EDDY_DATA_INVALID",
    "duplicate a",
    "event d",
    "dead EDDY_EVENT_MALFORMED",
    "dead EDDY_EVENT_ATTRIBUTE",
  ];
  assert.deepEqual(await look(), expected);
  assert.deepEqual([live?.handled, live?.filtered, live?.duplicate, live?.dead], [2, 1, 1, 3]);
  assert.deepEqual(
    (await look(3)).includes("duplicate a"),
    true,
    "its first stands before the range",
  );
  await broker.jsm.streams.delete(identitiesStream);
  assert.deepEqual(await look(), expected);
});
