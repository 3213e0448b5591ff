// What lets a key go, on a real server: who may drop a copy, and who waits for whom.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { eventually } from "../../../tests/support/eventually.ts";
import { startNats } from "../../../tests/support/nats.ts";
import { startTestPipeline } from "../../../tests/support/pipeline.ts";
import { startProxy } from "../../../tests/support/proxy.ts";
import { event, type Handler, on } from "../../authoring/index.ts";
import { type Token, token } from "../../events/index.ts";
import { createCommitter } from "../commit.ts";
import { createGate } from "../crashes/gate.ts";
import { storeFenced } from "../crashes/note.ts";
import type { Predecessor } from "../crashes/suspects.ts";
import { createLanes } from "../lanes.ts";
import { createFloor } from "../ledger/floor.ts";
import { holdLedger } from "../ledger/ledger.ts";
import { placeOf } from "../ledger/place.ts";
import { takeOver } from "../ledger/takeover.ts";
import { standingMessage } from "../retry/standing.ts";
import type { Scope } from "../scope.ts";
import { signal } from "../signal.ts";
import { createStopping } from "../stopping.ts";
import { createDrains } from "./drain.ts";
import { keepAbove } from "./keep.ts";
import { findSome } from "./next-parked.ts";
import { listParked, storeParked } from "./parking.ts";
import { createTable, type HeldKey } from "./table.ts";

const handler: Handler = {
  name: "note",
  file: "note.ts",
  version: "v1",
  declaration: on(event("com.acme.t", Type.Object({})), { ordered: true }, () => {}),
};
const lane: Token = token("a");

/** Streams, a committer, and whoever takes the ledger of the handler. */
async function startLedger() {
  const nats = await startNats();
  const proxy = await startProxy(nats.port);
  const p = await startTestPipeline({ ...nats, url: proxy.url }); // makes the streams
  const { broker } = p;
  const place = placeOf(handler, broker);
  const gate = createGate();
  const committer = createCommitter(
    broker,
    "EVENTS",
    () => {},
    () => {},
  );

  async function take(instance: string, before?: Predecessor): Promise<Scope> {
    const { record, seq } = await takeOver(broker, {
      ...{ place, streams: ["EVENTS"], instance, start: "first" },
      earlier: async () => undefined,
      delivered: async () => undefined,
    });
    const told = { onStored() {}, onLost() {} };
    const ledger = holdLedger({ place, record, seq, ...told }, [
      createFloor({ floor: 0, above: [] }),
    ]);
    return {
      ...{ broker, ledger, committer },
      around: {
        report() {},
        readEntry: async () => ({ value: undefined }),
        findEntries: async () => ({ entries: [] }),
        stopping: createStopping(),
      },
      defaults: {
        deadlineMs: 1_000,
        delaysMs: [],
        jitter: 0,
        deathsMax: 3,
        retentionMs: 60_000,
        tombstoneMs: 60_000,
      },
      crashes: { instance, deathsMax: 3, gate, ...(before && { before }) },
      handler: () => handler,
      ensureStreams: async () => {},
      explain: () => ({ name: "", message: "" }),
      alive: () => ledger.held,
    };
  }

  const park = (seq: number, data = stored.data) => {
    const original = { ...{ position: { stream: "EVENTS", seq }, timeMs: 0 }, ...stored, data };
    return storeParked(broker, "note", lane, original);
  };
  return {
    ...{ nats, proxy, broker, place, gate, take, park },
    copies: async () => (await listParked(broker, "note", lane)).get(lane),
    async [Symbol.asyncDispose]() {
      committer.stop();
      await p.stop();
      await proxy[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
    },
  };
}

const stored = {
  natsSubject: "events.com.acme.t.a",
  headers: Buffer.from(
    "NATS/1.0\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-source: /t\r\nce-type: com.acme.t\r\nce-subject: a\r\n\r\n",
  ),
  data: Buffer.from("{}"),
};

test("N1: a copy that nobody recorded is dropped by who holds the ledger, and by no zombie", async () => {
  await using s = await startLedger();
  const zombie = await s.take("zombie");
  const successor = await s.take("successor");
  const position = { stream: "EVENTS", seq: 1_000 };
  await s.park(position.seq); // the successor's, before it is recorded
  assert.deepEqual(await findSome(zombie, lane, [position]), []);
  assert.deepEqual(await s.copies(), [position]);
  assert.deepEqual(await findSome(successor, lane, [position]), []);
  assert.equal(await s.copies(), undefined);
});

test("D5: what comes again after a take-over and is parked between two turns runs in its place", async () => {
  await using s = await startLedger();
  const scope = await s.take("living");
  const record = (...seqs: number[]) => {
    const messages = seqs.map((seq) =>
      standingMessage(s.place, { stream: "EVENTS", seq }, { kind: "parked" }),
    );
    return storeFenced(scope, messages);
  };
  const seqs = [1_000, 1_001, 1_002, 1_003, 1_004];
  for (const seq of seqs) await s.park(seq);
  await record(1_000, 1_001, 1_002); // the copies of the others nobody has recorded: their events come again
  const table = createTable(new Map([[lane, draining]]));
  const { enter } = lanesOfOne();
  const order: number[] = [];
  const parkAgain = (seq: number) => {
    enter(lane, (leave) => {
      table.arrived.set(lane, Math.min(seq, table.arrived.get(lane) ?? seq));
      void (async () => {
        await s.park(seq);
        await record(seq);
      })().finally(leave);
    });
  };
  const attempt = ({ position: { seq } }: { position: { seq: number } }, leave: () => void) => {
    order.push(seq);
    if (seq > 1_000) return leave();
    parkAgain(1_003);
    parkAgain(1_004);
    setTimeout(leave, 300); // longer than a turn
  };
  const drains = createDrains({ scope, table, enter, attempt, free: () => table.forget(lane) });
  drains.start(lane);
  await eventually(() => order.length === seqs.length);
  assert.deepEqual(order, seqs);
  drains.stop();
  scope.ledger.giveUp();
});

test("D3: a drain whose reads take longer than a turn reads nothing twice", async () => {
  await using s = await startLedger();
  const scope = await s.take("living");
  const positions = Array.from({ length: 64 }, (_, n) => ({ stream: "EVENTS", seq: 1_000 + n }));
  for (const { seq } of positions) await s.park(seq);
  const parked = { kind: "parked" } as const;
  await storeFenced(
    scope,
    positions.map((position) => standingMessage(s.place, position, parked)),
  );
  const nc = await s.nats.connect();
  let reads = 0;
  nc.subscribe("$JS.API.STREAM.MSG.GET.RETRY", {
    callback() {
      reads++;
    },
  });
  await nc.flush();
  s.proxy.set({ kind: "slow", delayMs: 80, bytesPerMs: 10_000 }); // there and back
  const table = createTable(new Map([[lane, draining]]));
  const order: number[] = [];
  const attempt = ({ position: { seq } }: { position: { seq: number } }, leave: () => void) => {
    order.push(seq);
    leave();
  };
  const { enter } = lanesOfOne();
  const drains = createDrains({ scope, table, enter, attempt, free: () => table.forget(lane) });
  drains.start(lane);
  await eventually(() => order.length === positions.length, { timeoutMs: 20_000 });
  assert.deepEqual(
    order,
    positions.map(({ seq }) => seq),
  );
  await nc.flush();
  assert.equal(reads, positions.length);
  drains.stop();
  scope.ledger.giveUp();
});

test("D3: of large copies a turn reads no more than it may hold: a few until their size is known, then one by one", async () => {
  await using s = await startLedger();
  const scope = await s.take("living");
  const positions = Array.from({ length: 12 }, (_, n) => ({ stream: "EVENTS", seq: 1_000 + n }));
  for (const { seq } of positions)
    await s.park(seq, Buffer.from(JSON.stringify({ pad: "x".repeat(100_000) })));
  const parked = { kind: "parked" } as const;
  await storeFenced(
    scope,
    positions.map((position) => standingMessage(s.place, position, parked)),
  );
  const nc = await s.nats.connect();
  let open = 0;
  const peaks: number[] = []; // of each attempt: how many copies had been asked for since the one before
  nc.subscribe("$JS.API.STREAM.MSG.GET.RETRY", {
    callback() {
      open++;
    },
  });
  await nc.flush();
  const table = createTable(new Map([[lane, draining]]));
  const attempt = (_: unknown, leave: () => void) => {
    void nc.flush().then(() => {
      peaks.push(open);
      open = 0;
      leave();
    });
  };
  const { enter } = lanesOfOne();
  const drains = createDrains({ scope, table, enter, attempt, free: () => table.forget(lane) });
  drains.start(lane);
  await eventually(() => peaks.length === positions.length, { timeoutMs: 20_000 });
  assert.deepEqual(peaks, [4, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
  drains.stop();
  scope.ledger.giveUp();
});

test("A2: keeping what a key needs ends with the session, whose lanes give no turn any more", {
  timeout: 10_000,
}, async () => {
  await using s = await startLedger();
  const scope = await s.take("living");
  const ended = signal<void>();
  const table = createTable(new Map([[lane, draining]]));
  const kept = keepAbove(scope, table, () => setImmediate(ended.resolve), 5_000, ended);
  assert.equal(await kept, draining.fromSeq);
  scope.ledger.giveUp();
});

const draining: HeldKey = {
  ...{ key: "a", held: { kind: "draining" }, parked: true, sinceMs: 0, fromSeq: 0 },
};

function lanesOfOne() {
  const lanes = createLanes<() => void>(1, (turn) => turn());
  return {
    enter: (at: Token, turn: (leave: () => void) => void) =>
      lanes.enter(at, () => turn(() => lanes.leave(at))),
  };
}

test("D4: a suspect that waits for its turn at the gate leaves its lane to whoever has the gate", async () => {
  await using s = await startLedger();
  const scope = await s.take("living", { instance: "dead", died: true });
  const position = { stream: "EVENTS", seq: 1_000 };
  await s.park(position.seq);
  const ran = { kind: "parked", started: { instance: "dead", deaths: -1 } } as const;
  await storeFenced(scope, [standingMessage(s.place, position, ran)]);
  const { enter } = lanesOfOne();
  const order: string[] = [];
  const attempt = (_: unknown, leave: () => void) => {
    order.push("parked");
    leave();
  };
  const table = createTable(new Map([[lane, draining]]));
  const drains = createDrains({ scope, table, enter, attempt, free() {} });
  const leaveGate = await s.gate.enter(true); // a retry has it, and comes into the lane a little later
  drains.start(lane);
  await new Promise((resolve) => setTimeout(resolve, 300));
  enter(lane, (leave) => {
    order.push("retry");
    leaveGate();
    leave();
  });
  await eventually(() => order.length === 2);
  assert.deepEqual(order, ["retry", "parked"]);
  drains.stop();
  scope.ledger.giveUp();
});
