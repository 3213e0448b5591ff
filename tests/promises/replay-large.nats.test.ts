// Replay of events, and of effects, whose data is outside of their messages.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Objm } from "@nats-io/obj";
import { Type } from "typebox";
import {
  type Declaration,
  event,
  type Handler,
  on,
  projection,
} from "../../runtime/authoring/index.ts";
import { createIngress } from "../../runtime/broker/index.ts";
import {
  compareLast,
  compareOver,
  type ReplayWay,
  replay,
  spanOf,
} from "../../runtime/pipeline/index.ts";
import { openEntries } from "../../runtime/projections/index.ts";
import { startNats } from "../support/nats.ts";
import { makeTestEvent, startTestPipeline, type TestPipeline } from "../support/pipeline.ts";

const Data = Type.Object({ key: Type.String(), n: Type.Integer(), text: Type.String() });
const Read = event("com.acme.scan.read", Data);
const Copied = event("com.acme.scan.copied", Data);
const where = { data: { n: [{ "anything-but": [9] }] } };

function copier(suffix: string) {
  return on(Read, { emits: [Copied], start: "first", where }, ({ data }, ctx) => {
    ctx.emit(Copied, { ...data, text: data.text + suffix });
  });
}
const silent = on(Read, { emits: [Copied], start: "first", where }, () => {});
const lengths = projection("lengths", {
  from: [Read],
  where,
  key: (e) => e.data.key,
  state: Type.Object({ sum: Type.Integer() }),
  apply: (state, e) => ({ sum: (state?.sum ?? 0) + e.data.text.length }),
});
const named = (name: string, declaration: Declaration, version = "v1"): Handler => ({
  ...{ name, file: `${name}.ts`, version },
  declaration,
});

/** Replay over all of the log, by handlers of these names. */
function replays({ broker }: TestPipeline) {
  const reads = {
    broker,
    deadlineMs: 5_000,
    readEntry: async () => ({ value: undefined }),
    findEntries: async () => ({ entries: [] }),
  };
  return {
    async run(handler: Handler, way: ReplayWay, key?: string) {
      const span = await spanOf(broker, [handler], "first");
      const open = (declaration: Parameters<typeof openEntries>[1]) =>
        openEntries(broker, declaration, () => {});
      const told = await replay({
        ...{ ...reads, handler, span, way, openEntries: open },
        ...(key === undefined ? {} : { key }),
      });
      const { read, run, filtered, left, failed, emitted, there, stored } = told;
      return {
        counts: [read, run, filtered],
        left,
        failed: { ...failed },
        effects: [emitted, there, stored],
      };
    },
    async versus(live: Handler, next: Handler) {
      const span = await spanOf(broker, [live, next], "first");
      return (await compareOver({ ...reads, live, next, span })).differing;
    },
    async last(live: Handler, next: Handler) {
      const stop = new AbortController().signal;
      return await compareLast({ ...reads, live, next, events: 100, attemptMs: 2_000, stop });
    },
  };
}

async function objects({ broker }: TestPipeline) {
  const found = (await (await new Objm(broker.js).open("EVENTS_data")).list()) ?? [];
  return found.map(({ name, nuid }) => ({ name, nuid }));
}

test("data that is outside is there in every way of a replay; large effects are stored outside, once; what is gone is named", async () => {
  await using nats = await startNats({ maxPayload: 64 * 1024 });
  await using p = await startTestPipeline(nats, { delaysMs: [] });
  const { broker } = p;
  const { run, versus, last } = replays(p);
  const store = createIngress(broker.nc, { stream: "EVENTS", objects: broker.objects });
  const sizes = [10, 200_000, 300_000, 20, 100_000];
  await p.run({ copy: silent });
  await store(
    sizes.map((size, n) => {
      const data = { key: `k${n % 2}`, n: n === 4 ? 9 : n, text: String(n).padEnd(size, "x") };
      return makeTestEvent(Read.type, `r${n}`, data, { subject: `k${n % 2}` });
    }),
  );
  await p.settled();
  const inputs = await objects(p);
  assert.equal(inputs.length, 3);
  const copy = named("copy", copier("!"));

  const look = await run(copy, { kind: "look" });
  assert.deepEqual([look.counts, look.failed, look.effects], [[5, 4, 1], {}, [4, 0, 0]]);
  assert.deepEqual((await run(copy, { kind: "look" }, "k1")).effects, [2, 0, 0]);
  const dry = await run(copy, { kind: "effects", dry: true });
  assert.deepEqual(dry.effects, [4, 0, 0]);
  assert.deepEqual(await objects(p), inputs, "nothing was stored");
  assert.deepEqual((await run(copy, { kind: "effects", dry: false })).effects, [4, 0, 4]);
  const stored = await objects(p);
  assert.equal(stored.length, 5);
  const again = await run(copy, { kind: "effects", dry: false });
  assert.deepEqual([again.effects, again.failed], [[4, 4, 0], {}]);
  assert.deepEqual(await objects(p), stored);
  const copied: string[] = [];
  const see = on(Copied, { start: "first" }, (e) => void copied.push(e.data.text));
  await p.run({ copy: silent, see });
  await p.settled();
  const texts = sizes.slice(0, 4).map((size, n) => `${String(n).padEnd(size, "x")}!`);
  assert.deepEqual(copied.toSorted(), texts.toSorted(), "readers have all of the data");

  const projected = named("lengths", lengths as unknown as Declaration);
  const into = await run(projected, { kind: "into", name: "lengths2" });
  assert.deepEqual([into.counts, into.failed, into.effects[2]], [[5, 4, 1], {}, 4]);
  const entries = [];
  for (const key of ["k0", "k1"]) {
    const which = { last_by_subj: `$KV.lengths2.${key}` };
    entries.push((await broker.jsm.streams.getMessage("KV_lengths2", which))?.json());
  }
  assert.deepEqual(entries, [{ sum: 300_010 }, { sum: 200_020 }]);
  const intoReaction = await run(copy, { kind: "into", name: "copy2" });
  assert.deepEqual([intoReaction.effects, (await objects(p)).length], [[4, 0, 4], 7]);

  const none = { emits: 0, entries: 0, letters: 0 };
  assert.deepEqual(await versus(copy, named("copy", copier("!"), "v2")), none);
  assert.deepEqual(await versus(copy, named("copy", copier("?"), "v2")), { ...none, emits: 4 });
  const same = await last(projected, projected);
  assert.deepEqual([same.read, same.differences], [5, []]);

  const missing = (await objects(p)).find(({ name }) => name === inputs[1]?.name);
  await (await new Objm(broker.js).open("EVENTS_data")).delete(missing?.name ?? "");
  await p.run({ copy: silent, see, late: copier("") });
  assert.equal((await p.settled()).get("late")?.dead, 1);
  const code = { EDDY_OBJECT_MISSING: 1 };
  for (const way of [{ kind: "look" }, { kind: "effects", dry: true }] as const) {
    const told = await run(copy, way);
    assert.deepEqual([told.counts, told.failed], [[5, 3, 1], code], way.kind);
  }
  const gone = await run(projected, { kind: "into", name: "lengths3" });
  assert.deepEqual([gone.counts, gone.failed, gone.effects[2]], [[5, 3, 1], code, 3]);
  assert.deepEqual(await versus(copy, named("copy", copier("!"), "v2")), none, "both lack it");
  const late = await run(named("late", copier("")), { kind: "effects", dry: false });
  assert.deepEqual([late.left, late.failed], [{ unsettled: 0, dead: 1, expired: 0 }, {}]);
  const mended = await last(named("late", copier("")), named("late", copier(""), "v2"));
  assert.deepEqual([mended.letters, mended.lettersMended], [1, 0]);
});
