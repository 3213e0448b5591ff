import assert from "node:assert/strict";
import { test } from "node:test";
import { startNats } from "../../../tests/support/nats.ts";
import { startTestPipeline } from "../../../tests/support/pipeline.ts";
import { bucketConfig, ensureStream } from "../../broker/index.ts";
import { noCounts } from "../ledger/counts.ts";
import { projectionPlace } from "../ledger/place.ts";
import { type Fenced, storeBehind, storeWithRecord } from "./fenced.ts";

const record = { epoch: 1, instance: "me", commit: 0, counts: noCounts(), inputs: [] };
const entries = {
  known: () => undefined,
  read: async () => undefined,
  fold: () => assert.fail("nothing is folded"),
  forget() {},
  beginAnew() {},
  async *leftovers() {},
};
const message = (key: string) => ({
  natsSubject: `$KV.view.${key}`,
  headerLines: "",
  data: new TextEncoder().encode("1"),
});

test("F1: behind the fence of a ledger that another one took over nothing is stored, alone or in a batch", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await ensureStream(p.broker.jsm, bucketConfig("view"));
  const place = projectionPlace("view");
  const none: Fenced = { place, record, seq: 0, entries };
  const mine = await storeWithRecord(p.broker, none, [message("a")], record);
  await storeBehind(p.broker, mine, [message("b")]);
  await storeBehind(p.broker, mine, [message("c"), message("d")]);
  const theirs = await storeWithRecord(p.broker, mine, [], { ...record, instance: "another" });
  const lost = { code: "EDDY_REBUILD_FAILED" };
  await assert.rejects(() => storeBehind(p.broker, mine, [message("e")]), lost);
  await assert.rejects(() => storeBehind(p.broker, mine, [message("f"), message("g")]), lost);
  await assert.rejects(() => storeWithRecord(p.broker, mine, [message("h")], record), lost);
  const { state } = await p.broker.jsm.streams.info("KV_view", { subjects_filter: "$KV.view.>" });
  assert.deepEqual(
    Object.keys(state.subjects ?? {}).sort(),
    ["a", "b", "c", "d"].map((key) => `$KV.view.${key}`),
  );
  assert.equal(state.last_seq, theirs.seq);
});
