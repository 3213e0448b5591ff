import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eddyJson, runEddy } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { ofType } from "../support/log.ts";
import { countsOf, startWorld } from "../support/world.ts";

interface Letter {
  readonly letter: number;
  readonly handler: string;
  readonly reason: string;
  readonly source: string | null;
  readonly id: string | null;
  readonly error: { readonly name: string; readonly message: string };
  readonly attempts: number;
  readonly version: string;
}

const declarations = `
import { event, on, Permanent, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer(), attempt: Type.Integer() }));
`;
const placed = (n: number) => ({
  id: `e${n}`,
  type: "com.acme.order.placed",
  subject: "order",
  data: { n },
});
const noted = "com.acme.order.noted";

test("P1 P2: a retry that succeeds on attempt 3 is handled once, and the log tells the two that failed", async () => {
  const relay = `${declarations}
export const relay = on(Placed, { emits: [Noted], start: "first", retry: ["100ms", "200ms", "1m"] }, ({ data }, ctx) => {
  ctx.emit(Noted, { n: data.n, attempt: ctx.attempt });
  if (data.n === 3 && ctx.attempt < 3) throw new Error("not yet");
});`;
  await using world = await startWorld({ "relay.ts": relay });
  await using node = await world.start();
  await world.produce([1, 2, 3, 4, 5].map(placed));
  await eventually(() => node.output().includes("attempt 2 of relay.relay"), { timeoutMs: 10_000 });
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [5, 5, 0, 0]);
  const effects = ofType(await world.log(), noted).map(({ data }) => data);
  assert.deepEqual(
    effects.toSorted(
      (a, b) => Number(Reflect.get(Object(a), "n")) - Number(Reflect.get(Object(b), "n")),
    ),
    [1, 2, 3, 4, 5].map((n) => ({ n, attempt: n === 3 ? 3 : 1 })),
  );
  const lines = node
    .output()
    .split("\n")
    .filter((line) => line.includes('"id":"e3"'));
  const told = lines.map((line) => JSON.parse(line));
  assert.deepEqual(
    told.map(({ attempt, error, outcome }) => [attempt, error ?? outcome]),
    [
      [1, "Error: not yet"],
      [2, "Error: not yet"],
      [3, "handled"],
    ],
  );
  assert.ok(told.every(({ version }) => typeof version === "string" && version !== ""));
});

test("P1 P2 P4: an event that waits for a retry waits on through kill -9", async () => {
  const relay = `${declarations}
export const relay = on(Placed, { emits: [Noted], start: "first", retry: ["1500ms"] }, ({ data }, ctx) => {
  if (ctx.attempt === 1) throw new Error("not yet");
  ctx.emit(Noted, { n: data.n, attempt: ctx.attempt });
});`;
  await using world = await startWorld({ "relay.ts": relay });
  const first = await world.start();
  await world.produce([placed(1), placed(2)]);
  await eventually(() => first.output().match(/attempt 1 of relay.relay/g)?.length === 2);
  await first.kill();
  await using _ = await world.start();
  await eventually(async () => ofType(await world.log(), noted).length === 2, {
    timeoutMs: 10_000,
  });
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [2, 2, 0, 0]);
});

test("P1 P2: an attempt that was in flight at a kill -9 runs again at once, not after the server's ack wait", async () => {
  const relay = `${declarations}
export const relay = on(Placed, { emits: [Noted], start: "first", retry: ["20ms"] }, async ({ data }, ctx) => {
  if (ctx.attempt === 1) throw new Error("not yet");
  ctx.log.info("attempt 2 began");
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  ctx.emit(Noted, { n: data.n, attempt: ctx.attempt });
});`;
  await using world = await startWorld({ "relay.ts": relay });
  const first = await world.start();
  await world.produce([placed(1), placed(2)]);
  await eventually(() => first.output().match(/attempt 2 began/g)?.length === 2);
  await first.kill();
  await using _ = await world.start();
  await eventually(async () => ofType(await world.log(), noted).length === 2, {
    timeoutMs: 25_000,
  });
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [2, 2, 0, 0]);
});

test("P2 P4: a dead letter replayed twice after a hot fix has its effect once", async () => {
  const broken = `${declarations}
export const relay = on(Placed, { emits: [Noted], start: "first", retry: ["20ms"] }, ({ data }, ctx) => {
  if (data.n === 2) throw new RangeError("2 is too much");
  ctx.emit(Noted, { n: data.n, attempt: ctx.attempt });
});`;
  await using world = await startWorld({ "relay.ts": broken });
  await using node = await world.start();
  await world.produce([placed(1), placed(2), placed(3)]);
  await eventually(() => node.output().includes("See: eddy dead list"), { timeoutMs: 10_000 });
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [3, 2, 0, 1]);
  const [letter, ...others] = await eddyJson<Letter[]>(world.nats, "dead", "list");
  assert.ok(letter !== undefined && others.length === 0);
  assert.deepEqual(
    [letter.handler, letter.reason, letter.source, letter.id, letter.attempts, letter.error],
    ["relay.relay", "attempts", "/test", "e2", 2, { name: "RangeError", message: "2 is too much" }],
  );

  // It runs until the file is there, so that the second replay comes while the first one is under way.
  const go = join(world.handlers, "../go");
  const fixed = `${declarations}
import { existsSync } from "node:fs";
export const relay = on(Placed, { emits: [Noted], start: "first", retry: ["20ms"] }, async ({ data }, ctx) => {
  while (!existsSync(${JSON.stringify(go)})) await new Promise((resolve) => setTimeout(resolve, 10));
  ctx.emit(Noted, { n: data.n, attempt: ctx.attempt });
});`;
  world.write("relay.ts", fixed);
  await eventually(() => node.output().match(/loaded relay\.ts@/g)?.length === 2);
  const replay = () =>
    runEddy(["dead", "replay", String(letter.letter)], { EDDY_NATS_SERVERS: world.nats.url });
  const replays = await Promise.all([replay(), replay()]);
  assert.deepEqual(
    replays.map(({ code }) => code),
    [0, 0],
  );
  const handled = async () => {
    const effects = ofType(await world.log(), noted);
    return effects.filter(({ data }) => Reflect.get(Object(data), "n") === 2).length;
  };
  writeFileSync(go, "");
  await eventually(async () => (await handled()) > 0, { timeoutMs: 10_000 });
  assert.equal((await replay()).code, 3); // the letter is gone: nothing to give back
  await world.produce([placed(4)]); // overtakes whatever could still come
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [4, 4, 0, 0]);
  assert.equal(await handled(), 1);
  assert.deepEqual(await eddyJson(world.nats, "dead", "list"), []);
});
