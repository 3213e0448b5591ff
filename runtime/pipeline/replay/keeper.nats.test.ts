import assert from "node:assert/strict";
import { test } from "node:test";
import { startNats } from "../../../tests/support/nats.ts";
import {
  countSubjects,
  makeTestEvent,
  startTestPipeline,
} from "../../../tests/support/pipeline.ts";
import { effectOf } from "../effect.ts";
import { noCounts } from "../ledger/counts.ts";
import { createKeeper, isOverReplay, markIn, readKept } from "./keeper.ts";

test("K1: of two replays that store for one handler the later one ends, and what it had is not stored", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  await p.run({});
  const place = { stream: "EVENTS", ledger: "ledger.replay==.test.note" };
  const found = await readKept(p.broker, place);
  const keeper = () => createKeeper(p.broker, place, found, { handler: "note" }, 0);
  const [first, second] = [keeper(), keeper()];
  const counts = noCounts();
  const unit = (seq: number) => ({
    seq,
    counts,
    messages: [effectOf(makeTestEvent("com.acme.noted", `n${seq}`, { seq }))],
  });
  const many = Array.from({ length: 2_000 }, (_, n) => unit(n + 1)); // several batches
  await first.store(many, { upTo: 2_000, counts, clean: false });
  const late = second.store([unit(3_000)], { upTo: 3_000, counts, clean: true });
  await assert.rejects(late, { code: "EDDY_REPLAY_CONTESTED" });
  assert.equal(await countSubjects(p.broker, "EVENTS", "events.com.acme.noted.*"), 2_000);
  const running = (await readKept(p.broker, place)).record;
  assert.ok(running && !isOverReplay(running));
  await first.store([], { upTo: 2_000, counts, clean: true });
  const over = (await readKept(p.broker, place)).record;
  assert.ok(over && isOverReplay(over));
  assert.equal(markIn(over)?.handler, "note");
  assert.equal(over.inputs[0]?.floor, 2_000);
});
