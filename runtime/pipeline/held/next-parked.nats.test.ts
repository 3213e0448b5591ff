// Copies that nobody recorded, on a real server: who may drop them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { startNats } from "../../../tests/support/nats.ts";
import { startTestPipeline } from "../../../tests/support/pipeline.ts";
import { event, type Handler, on } from "../../authoring/index.ts";
import { type Token, token } from "../../events/index.ts";
import { createCommitter } from "../commit.ts";
import { createGate } from "../crashes/gate.ts";
import { createFloor } from "../ledger/floor.ts";
import { holdLedger } from "../ledger/ledger.ts";
import { placeOf } from "../ledger/place.ts";
import { takeOver } from "../ledger/takeover.ts";
import type { Scope } from "../scope.ts";
import { createStopping } from "../stopping.ts";
import { findSome } from "./next-parked.ts";
import { listParked, storeParked } from "./parking.ts";

const handler: Handler = {
  name: "note",
  file: "note.ts",
  version: "v1",
  declaration: on(event("com.acme.t", Type.Object({})), { ordered: true }, () => {}),
};
const lane: Token = token("a");

test("N1: a copy that nobody recorded is dropped by who holds the ledger, and by no zombie", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats); // makes the streams
  const { broker } = p;
  const place = placeOf(handler, broker.app, broker.home);
  const committer = createCommitter(
    broker,
    "EVENTS",
    () => {},
    () => {},
  );

  async function holder(instance: string): Promise<Scope> {
    const { record, seq } = await takeOver(broker, {
      ...{ place, input: "EVENTS", instance, start: "first" },
      earlier: async () => undefined,
      delivered: async () => undefined,
    });
    const told = { onStored() {}, onLost() {} };
    const ledger = holdLedger(
      { place, record, seq, ...told },
      createFloor({ floor: 0, above: [] }),
    );
    return {
      ...{ broker, ledger, committer },
      around: { report() {}, readEntry: async () => undefined, stopping: createStopping() },
      defaults: { deadlineMs: 1_000, delaysMs: [], jitter: 0, deathsMax: 3, retentionMs: 60_000 },
      crashes: { instance, deathsMax: 3, gate: createGate() },
      handler: () => handler,
      ensureStreams: async () => {},
      explain: () => ({ name: "", message: "" }),
      alive: () => ledger.held,
    };
  }

  const zombie = await holder("zombie");
  const successor = await holder("successor");
  const position = { stream: "EVENTS", seq: 1_000 };
  const original = { position, natsSubject: "events.com.acme.t.a", timeMs: 0, data: Buffer.of(1) };
  await storeParked(broker, "note", lane, original); // the successor's, before it is recorded

  const copies = async () => (await listParked(broker, "note", lane)).get(lane);

  assert.deepEqual(await findSome(zombie, lane, [position]), []);
  assert.deepEqual(await copies(), [position]);
  assert.deepEqual(await findSome(successor, lane, [position]), []);
  assert.equal(await copies(), undefined);
  committer.stop();
});
