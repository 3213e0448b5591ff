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
} from "../../tests/support/pipeline.ts";
import { event, on, projection } from "../authoring/index.ts";
import { listLetters, replayLetter } from "./index.ts";

const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
const old = { time: ago(3_600_000) };
const past = { extensions: { expirytime: ago(1_000) } };
const placed = (n: number, more = {}) => makeTestEvent(Placed.type, `e${n}`, { n }, more);

test("P1: what is too old is counted as expired, without an attempt and without an effect", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const seen: string[] = [];
  const young = on(Placed, { emits: [Noted], start: "first", maxAge: "10m" }, (e, ctx) => {
    seen.push(e.id);
    ctx.emit(Noted, { n: e.data.n });
  });
  const any = on(Placed, { start: "first" }, () => {});
  const states = projection("states", {
    from: [Placed],
    key: (e) => e.id,
    apply: (_, e) => e.data,
    maxAge: "10m",
  });
  await p.run({ young, any, states });
  const soon = { extensions: { expirytime: "soon" } };
  await produce(p.broker, [placed(1), placed(2, old), placed(3, past), placed(4, soon)]);
  await p.settled();
  await produce(p.broker, [placed(2, old)]); // a duplicate is a duplicate first
  const rows = await p.settled();
  const counts = (name: string) => {
    const row = rows.get(name);
    return [row?.delivered, row?.handled, row?.duplicate, row?.expired, row?.dead];
  };
  assert.deepEqual(counts("young"), [5, 2, 1, 2, 0]);
  assert.deepEqual(counts("any"), [5, 3, 1, 1, 0]);
  assert.deepEqual(counts("states"), [5, 2, 1, 2, 0]);
  assert.deepEqual(seen.sort(), ["e1", "e4"]);
  assert.equal(await countSubjects(p.broker, "EVENTS", "events.com.acme.order.noted.*"), 2);
  const told = p.facts.flatMap((f) =>
    f.kind === "outcome" && f.outcome === "expired" ? [`${f.handler} ${f.event?.id}`] : [],
  );
  assert.deepEqual(told.sort(), ["any e3", "states e2", "states e3", "young e2", "young e3"]);
  assert.equal((await listLetters(p.broker)).length, 0);
});

test("an event that grows too old while it waits for its retry is not tried again", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats, { delaysMs: [1_500, 1_500] });
  const attempts: number[] = [];
  const late = on(Placed, { start: "first", maxAge: "1s" }, (_, ctx) => {
    attempts.push(ctx.attempt);
    throw new Error("not yet");
  });
  await p.run({ late });
  await produce(p.broker, [placed(1)]);
  await eventually(() => attempts.length === 1);
  const row = (await p.settled()).get("late");
  assert.deepEqual([row?.delivered, row?.expired, row?.retrying, row?.dead], [1, 1, 0, 0]);
  assert.deepEqual(attempts, [1]);
});

test("a kept event is a letter; given back it runs although it is old, its retries too", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const attempts: number[] = [];
  const keep = on(
    Placed,
    { emits: [Noted], start: "first", maxAge: "10m", keepExpired: true },
    (e, ctx) => {
      attempts.push(ctx.attempt);
      if (ctx.attempt < 2) throw new Error("not yet");
      ctx.emit(Noted, { n: e.data.n });
    },
  );
  await p.run({ keep });
  await produce(p.broker, [placed(1, old)]);
  const before = (await p.settled()).get("keep");
  assert.deepEqual([before?.delivered, before?.expired, before?.dead], [1, 1, 0]);
  const [letter] = await listLetters(p.broker);
  assert.deepEqual(
    [letter?.reason, letter?.error.code, letter?.id],
    ["expired", "EDDY_EVENT_EXPIRED", "e1"],
  );
  assert.equal(await replayLetter(p.broker, letter?.letter ?? 0), "given back");
  await eventually(async () => (await listLetters(p.broker)).length === 0);
  const after = await eventually(async () => {
    const row = (await p.settled()).get("keep");
    assert.equal(row?.handled, 1, JSON.stringify(row));
    return row;
  });
  assert.deepEqual([after.delivered, after.handled, after.expired, after.dead], [1, 1, 0, 0]);
  assert.deepEqual(attempts, [1, 2]);
  assert.equal(await countSubjects(p.broker, "EVENTS", "events.com.acme.order.noted.*"), 1);
});
