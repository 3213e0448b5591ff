import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Type } from "typebox";
import { startNats } from "../../../tests/support/nats.ts";
import { event, type Handler, projection, type Start } from "../../authoring/index.ts";
import { type Broker, bucketConfig, connectBroker, ensureStream } from "../../broker/index.ts";
import { type Beginning, beginningOf, checkHeads, type From } from "./beginning.ts";

const Counted = event("com.acme.counted", Type.Object({ n: Type.Integer() }));

function countsOf(start: Start, streams?: readonly string[]): Handler {
  const declaration = projection("counts", {
    from: [Counted],
    start,
    ...(streams === undefined ? {} : { streams }),
    key: () => "all",
    apply: (state) => state ?? {},
  });
  return { name: "counts", file: "counts.ts", version: "v1", declaration };
}

const firstsOf = ({ inputs, whole }: Beginning) => [
  Object.fromEntries(inputs.map(({ stream, first }) => [stream, first])),
  whole,
];
const gone = (text: RegExp) => ({ code: "EDDY_REBUILD_HEAD_GONE", message: text });

async function put({ nc }: Broker, stream: string, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await nc.request(`${stream.toLowerCase()}.x`, "");
  await pause(5); // another millisecond for what is stored next
}

test("a rebuild begins where the projection did in each stream, and only where all since then is there", async () => {
  await using nats = await startNats();
  const names = { app: "test", home: "LOG" };
  const broker = await connectBroker(
    { servers: [nats.url], name: "test", timeoutMs: 5_000 },
    names,
  );
  await using _closed = { [Symbol.asyncDispose]: () => broker.close() };
  const { jsm } = broker;
  const add = (name: string) =>
    jsm.streams.add({ name, subjects: [`${name.toLowerCase()}.>`], allow_direct: true });
  const begin = (handler: Handler, from?: From) => beginningOf(broker, handler, [], from);
  await add("LOG");
  await put(broker, "LOG", 3);
  const noon = new Date();
  await put(broker, "LOG", 3);
  await ensureStream(jsm, bucketConfig("counts"));
  await put(broker, "LOG", 1);
  await add("HUB"); // later than the entries: that may be
  await put(broker, "HUB", 2);
  await put(broker, "LOG", 3);
  await put(broker, "HUB", 2);

  const [first, both] = [countsOf("first"), countsOf("first", ["HUB"])];
  assert.deepEqual(firstsOf(await begin(first)), [{ LOG: 1 }, true]);
  assert.deepEqual(firstsOf(await begin(both)), [{ LOG: 1, HUB: 1 }, true]);
  assert.deepEqual(firstsOf(await begin(countsOf(noon))), [{ LOG: 4 }, true]);
  assert.deepEqual(firstsOf(await begin(countsOf("now", ["HUB"]))), [{ LOG: 7, HUB: 1 }, true]);
  const from = async (stream: string, seq: number) => firstsOf(await begin(both, { stream, seq }));
  assert.deepEqual(await from("LOG", 8), [{ LOG: 8, HUB: 3 }, false], "what was stored since then");
  assert.deepEqual(await from("HUB", 3), [{ LOG: 11, HUB: 3 }, false]);
  assert.deepEqual(await from("HUB", 9), [{ LOG: 11, HUB: 9 }, false], "nothing is there yet");
  await assert.rejects(from("OTHER", 1), { code: "EDDY_REBUILD_FROM", message: /LOG and HUB/ });

  const whole = await begin(both);
  await jsm.streams.purge("HUB", { seq: 2 });
  await assert.rejects(checkHeads(broker, both, whole), gone(/HUB begins at HUB:2/));
  await assert.rejects(begin(both), gone(/HUB begins at HUB:2, .* --from HUB:2/));
  assert.deepEqual(firstsOf(await begin(first)), [{ LOG: 1 }, true]);
  await jsm.streams.purge("LOG", { seq: 5 });
  await assert.rejects(begin(both), gone(/LOG begins at LOG:5, .*, HUB begins at HUB:2/));
  await assert.rejects(begin(countsOf(noon)), gone(/LOG begins at LOG:5/));
  await assert.rejects(from("LOG", 4), gone(/LOG begins at LOG:5/));
  assert.deepEqual(await from("LOG", 5), [{ LOG: 5, HUB: 2 }, false]);
  assert.deepEqual(firstsOf(await begin(countsOf("now"))), [{ LOG: 7 }, true]);

  await jsm.streams.delete("LOG");
  await add("LOG");
  await assert.rejects(begin(first), gone(/LOG was made anew/));
});
