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
  const inputs = ["EVENTS", "HUB"].map((stream) => ({ stream, createdMs: 0, floor: 0 }));
  const found = await readKept(p.broker, place);
  const keeper = () => createKeeper(p.broker, place, found, { handler: "note" }, inputs);
  const [first, second] = [keeper(), keeper()];
  const counts = noCounts();
  const unit = (seq: number) => ({
    position: { stream: seq % 3 === 0 ? "HUB" : "EVENTS", seq },
    counts,
    messages: [effectOf(makeTestEvent("com.acme.noted", `n${seq}`, { seq }))],
  });
  const many = Array.from({ length: 2_000 }, (_, n) => unit(n + 1)); // several batches
  await first.store(many, { upTo: [], counts, clean: false });
  const late = second.store([unit(3_000)], { upTo: [], counts, clean: true });
  await assert.rejects(late, { code: "EDDY_REPLAY_CONTESTED" });
  assert.equal(await countSubjects(p.broker, "EVENTS", "events.com.acme.noted.*"), 2_000);
  const running = (await readKept(p.broker, place)).record;
  assert.ok(running && !isOverReplay(running));
  assert.ok(
    running.inputs.every(({ floor }) => floor > 900 && floor < 2_000),
    "of what was given up to its last batch",
  );
  await first.store([], {
    upTo: [
      { stream: "EVENTS", seq: 2_000 },
      { stream: "HUB", seq: 1 },
    ],
    counts,
    clean: true,
  });
  const hubFloor = running.inputs[1]?.floor; // nothing is taken back
  const over = (await readKept(p.broker, place)).record;
  assert.ok(over && isOverReplay(over));
  assert.equal(markIn(over)?.handler, "note");
  const floors = over.inputs.map(({ stream, floor }) => [stream, floor]);
  assert.deepEqual(floors, [
    ["EVENTS", 2_000],
    ["HUB", hubFloor],
  ]);
});
