import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import {
  countSubjects,
  makeTestEvent,
  produce,
  startTestPipeline,
  type TestPipeline,
} from "../../tests/support/pipeline.ts";
import { event, on, projection, type WhereOf } from "../authoring/index.ts";
import { listHeldKeys, listLetters, reconcile, replayLetter } from "./index.ts";

const Order = Type.Object({ n: Type.Integer(), status: Type.String() });
const Placed = event("com.acme.order.placed", Order);
const Noted = event("com.acme.order.noted", Order);
type Selection = WhereOf<typeof Placed>;
const paid = { data: { status: ["paid"] } } satisfies Selection;
const placed = (n: number, status = "paid", more = {}) =>
  makeTestEvent(Placed.type, `e${n}`, { n, status }, more);
const counts = async (p: TestPipeline, name: string) => {
  const row = (await p.settled()).get(name) ?? assert.fail(`${name} has no row`);
  assert.equal(
    row.delivered,
    row.handled + row.duplicate + row.filtered + row.expired + row.retrying + row.dead,
  );
  const { delivered, handled, duplicate, filtered, dead } = row;
  return { delivered, handled, duplicate, filtered, dead };
};
const findings = async (p: TestPipeline) =>
  (await reconcile(p.broker, [], () => {})).flatMap((row) => row.findings);

test("S5: what `where` leaves out is counted as filtered, does not run, and stays that over a restart; a repeat is a duplicate", async () => {
  await using nats = await startNats();
  const seen: string[] = [];
  const keyed: string[] = [];
  const declarations = {
    note: on(Placed, { emits: [Noted], start: "first", where: paid }, (e, ctx) => {
      seen.push(e.id);
      ctx.emit(Noted, e.data);
    }),
    all: on(Placed, { start: "first" }, () => {}),
    states: projection("states", {
      from: [Placed],
      where: { data: { n: [{ numeric: ["<", 3] }] } },
      key: (e) => {
        keyed.push(e.id);
        return e.id;
      },
      apply: (_, e) => e.data,
    }),
  };
  const broken = (n: number, status: string) =>
    makeTestEvent(Placed.type, `e${n}`, { n: "x", status });
  await using p = await startTestPipeline(nats);
  await p.run(declarations);
  await produce(p.broker, [placed(1), placed(2, "open"), broken(3, "open"), broken(4, "paid")]);
  await p.settled();
  await produce(p.broker, [placed(1), placed(2, "open")]);
  const none = { duplicate: 0, filtered: 0, dead: 0 };
  const note = { delivered: 6, handled: 1, duplicate: 2, filtered: 2, dead: 1 };
  assert.deepEqual(await counts(p, "note"), note);
  assert.deepEqual(await counts(p, "all"), {
    ...none,
    delivered: 6,
    handled: 2,
    duplicate: 2,
    dead: 2,
  });
  assert.deepEqual(await counts(p, "states"), {
    ...none,
    delivered: 6,
    handled: 2,
    duplicate: 2,
    filtered: 2,
  });
  assert.deepEqual([seen, keyed], [["e1"], ["e1", "e2"]]);
  const told = p.facts.filter((f) => f.kind === "outcome" && f.outcome === "filtered");
  assert.deepEqual(
    told.map((f) => f.kind === "outcome" && `${f.handler} ${f.event?.id} ${f.effects}`).sort(),
    ["note e2 0", "note e3 0", "states e3 0", "states e4 0"],
  );
  assert.equal(await countSubjects(p.broker, "EVENTS", "events.com.acme.order.noted.*"), 1);
  assert.equal(await countSubjects(p.broker, "EVENTS", "ledger.test.note.>"), 1); // of the dead one
  assert.deepEqual(await findings(p), []);
  await p.stop();

  await using q = await startTestPipeline(nats);
  await q.run(declarations);
  assert.deepEqual(await counts(q, "note"), note);
  await produce(q.broker, [placed(2, "open"), placed(5, "open"), placed(6)]);
  assert.deepEqual(await counts(q, "note"), {
    delivered: 9,
    handled: 2,
    duplicate: 3,
    filtered: 3,
    dead: 1,
  });
  assert.deepEqual(seen, ["e1", "e6"]);
  assert.deepEqual(await findings(q), []);
});

test("a reload that changes only `where` holds from the next event on: for those that wait for their turn, a retry or a letter too", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [1_500] });
  const began: number[] = [];
  let letGo = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const under = (where: Selection | undefined) =>
    on(Placed, { start: "first", ...(where === undefined ? {} : { where }) }, async (e) => {
      began.push(e.data.n);
      if (e.data.status === "slow") await gate;
      if (e.data.status === "bad") throw new Error("not yet");
    });
  await p.run({ note: under(undefined) }, "v1");
  await produce(p.broker, [placed(1, "bad"), placed(2, "bad", { subject: "k" })]);
  await eventually(() => began.length === 4);
  assert.deepEqual(await counts(p, "note"), {
    delivered: 2,
    handled: 0,
    duplicate: 0,
    filtered: 0,
    dead: 2,
  });
  await produce(p.broker, [placed(3, "bad"), placed(4, "slow", { subject: "k" })]);
  await eventually(() => began.length === 6);
  await produce(p.broker, [placed(5, "open", { subject: "k" })]); // waits for its turn behind e4
  await eventually(() => p.pipeline.status()[0]?.inFlight === 2);
  await p.run({ note: under(paid) }, "v2");
  await produce(p.broker, [placed(6, "paid", { subject: "k" }), placed(7, "open")]);
  const [letter] = await listLetters(p.broker);
  assert.equal(await replayLetter(p.broker, letter?.letter ?? 0), "given back");
  await eventually(async () => (await listLetters(p.broker)).length === 1);
  letGo();
  await eventually(async () => {
    const row = await counts(p, "note");
    assert.deepEqual(row, { delivered: 7, handled: 2, duplicate: 0, filtered: 4, dead: 1 });
    return true;
  });
  assert.deepEqual(began.slice(4).sort(), [3, 4, 6]);
  assert.deepEqual(await findings(p), []);
  await p.run({ note: under({ data: { status: ["open"] } }) }, "v3");
  await produce(p.broker, [placed(8, "open"), placed(9)]);
  assert.deepEqual(await counts(p, "note"), {
    delivered: 9,
    handled: 3,
    duplicate: 0,
    filtered: 5,
    dead: 1,
  });
});

test("ordered: what is filtered neither waits for its key nor holds it; the holder and what is parked are asked again", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [2_000, 2_000] });
  const began: number[] = [];
  const under = (where: Selection) =>
    on(Placed, { start: "first", ordered: true, where }, (e) => {
      began.push(e.data.n);
      if (e.data.status === "bad") throw new Error("not yet");
    });
  const key = { subject: "k" };
  await p.run({ note: under({ data: { status: ["paid", "bad", "gone"] } }) }, "v1");
  await produce(p.broker, [placed(1, "bad", key)]);
  await eventually(async () => (await listHeldKeys(p.broker)).length === 1);
  await produce(p.broker, [placed(2, "open", key)]);
  await produce(p.broker, [placed(3, "gone", key)]);
  await produce(p.broker, [placed(4, "paid", key)]);
  const told = (outcome: string) =>
    p.facts.flatMap((f) => (f.kind === "outcome" && f.outcome === outcome ? [f.event?.id] : []));
  await eventually(async () => (await listHeldKeys(p.broker))[0]?.parked === 2);
  await eventually(() => told("filtered").length === 1);
  assert.deepEqual([told("filtered"), began], [["e2"], [1]]);
  await p.run({ note: under(paid) }, "v2");
  assert.deepEqual(await counts(p, "note"), {
    delivered: 4,
    handled: 1,
    duplicate: 0,
    filtered: 3,
    dead: 0,
  });
  assert.deepEqual(
    [told("filtered"), began],
    [
      ["e2", "e1", "e3"],
      [1, 4],
    ],
  );
  await eventually(async () => (await listHeldKeys(p.broker)).length === 0);
  assert.deepEqual(await findings(p), []);
});
