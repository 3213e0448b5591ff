import assert from "node:assert/strict";
import { test } from "node:test";
import { startNats } from "../../tests/support/nats.ts";
import { startTestPipeline } from "../../tests/support/pipeline.ts";
import { bucketConfig, ensureStream } from "../broker/index.ts";
import { copyOf } from "../pipeline/index.ts";
import { openProjectionReader } from "./read.ts";

test("W1: while copies count, they are the entries: changed, new and removed ones; then the places count again", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const { broker } = p;
  await ensureStream(broker.jsm, bucketConfig("view"));
  const put = (subject: string, data: string) => broker.js.publish(subject, data);
  for (const key of ["a", "b"]) await put(`$KV.view.${key}`, "1");
  for (const [key, text] of [
    ["a", "2"],
    ["b", ""],
    ["c", "2"],
  ] as const)
    await put(copyOf("view", "X", ">").replace(">", key), text);
  await put("cursor.view.rebuild", '{"kind":"switched","id":"X"}');
  const reader = await openProjectionReader(broker.nc, broker);
  const values = async () =>
    await Promise.all(["a", "b", "c"].map(async (key) => (await reader.get("view", key))?.value));
  const keys = async () => (await reader.keys("view", { limit: 9 }))?.keys;
  assert.deepEqual(
    [await values(), await keys()],
    [
      [2, undefined, 2],
      ["a", "c"],
    ],
  );
  await put("cursor.view.rebuild", '{"kind":"over"}');
  assert.deepEqual(
    [await values(), await keys()],
    [
      [1, 1, undefined],
      ["a", "b"],
    ],
  );
});
