import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { eddyJson, runEddy } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { launcher } from "../support/launcher.ts";
import { assertOneEffectEach, countMessages, ofType } from "../support/log.ts";
import { startWorld, type World } from "../support/world.ts";

const declarations = `
import { event, on, projection, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer(), replaying: Type.Boolean() }));
`;
const placed = (n: number) => ({
  id: `e${n}`,
  type: "com.acme.order.placed",
  subject: `order-${n % 40}`,
  data: { n },
});
const noted = "com.acme.order.noted";
const some = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => placed(from + i));

interface Told {
  readonly read: number;
  readonly run: number;
  readonly left: Readonly<Record<string, number>>;
  readonly failed: Readonly<Record<string, number>>;
  readonly emitted: number;
  readonly there: number;
  readonly stored: number;
}

function replayed<T = Told>({ nats, handlers }: World, ...args: string[]): Promise<T> {
  return eddyJson<T>(nats, "replay", ...args, "--handlers", handlers);
}

const silent = `${declarations}
export const relay = on(Placed, { emits: [Noted], start: "first" }, () => {});`;
const emitting = `${declarations}
export const relay = on(Placed, { emits: [Noted], start: "first" }, async ({ data }, ctx) => {
  if (ctx.replaying) await new Promise((resolve) => setTimeout(resolve, 5));
  ctx.emit(Noted, { n: data.n, replaying: ctx.replaying });
});`;

test("P2: a replay that is killed half-way and run again stores each missing effect once, and leaves to the handler what it has not handled", async () => {
  await using world = await startWorld({ "relay.ts": silent });
  const node = await world.start();
  await world.produce(some(0, 2_400));
  await world.settled();
  await node.stop();
  await world.produce(some(2_400, 10));
  world.write("relay.ts", emitting);

  const dry = await replayed(world, "relay.relay", "--from", "first", "--effects", "--dry-run");
  assert.deepEqual([dry.run, dry.emitted, dry.there, dry.stored], [2_400, 2_400, 0, 0]);
  assert.equal(await countMessages(world.nc, `events.${noted}.>`), 0);

  const args = ["replay", "relay.relay", "--from", "first", "--effects"];
  const env = { ...process.env, EDDY_NATS_SERVERS: world.nats.url };
  const child = spawn(process.execPath, [await launcher(), ...args, "--handlers", world.handlers], {
    env,
    stdio: "ignore",
  });
  await eventually(async () => (await countMessages(world.nc, `events.${noted}.>`)) > 0, {
    timeoutMs: 20_000,
  });
  child.kill("SIGKILL");
  await once(child, "exit");
  const half = await countMessages(world.nc, `events.${noted}.>`);
  assert.ok(half < 2_400, "it was done before it was killed");

  const second = await replayed(world, "relay.relay", "--from", "first", "--effects");
  assert.deepEqual(
    [second.read, second.run, second.left.unsettled, second.there, second.stored],
    [2_410, 2_400, 10, half, 2_400 - half],
  );
  const third = await replayed(world, "relay.relay", "--from", "1", "--effects");
  assert.deepEqual([third.there, third.stored], [2_400, 0]);

  await using _again = await world.start();
  await world.settled();
  const log = await world.log();
  assertOneEffectEach(ofType(log, "com.acme.order.placed"), ofType(log, noted));
  const byReplay = ofType(log, noted).map(({ data }) => Reflect.get(Object(data), "replaying"));
  assert.equal(byReplay.filter((replaying) => replaying === true).length, 2_400);
  assert.equal(byReplay.filter((replaying) => replaying === false).length, 10);
  const fourth = await replayed(world, "relay.relay", "--from", "first");
  assert.deepEqual([fourth.run, fourth.emitted, fourth.there], [2_410, 2_410, 2_410]);
});

const summing = (add: string) => `${declarations}
export const sums = projection("sums", {
  from: [Placed],
  key: (e) => e.subject ?? "",
  apply: (state: any, { data: { n } }) => (n % 97 === 0 ? null : { sum: (state?.sum ?? 0) + ${add} }) as never,
});`;

/** What the entries are by the test's own fold. */
function folded(events: readonly ReturnType<typeof placed>[], add: (n: number) => number) {
  const sums = new Map<string, { sum: number } | null>();
  for (const { subject, data } of events) {
    const before = sums.get(subject)?.sum ?? 0;
    sums.set(subject, data.n % 97 === 0 ? null : { sum: before + add(data.n) });
  }
  return sums;
}

interface Comparison {
  readonly differing: Readonly<Record<string, number>>;
  readonly mended: number;
  readonly differences: readonly {
    readonly kind: string;
    readonly key: string;
    readonly id: string;
    readonly live: unknown;
    readonly next: unknown;
  }[];
}

test("a changed fold differs in exactly the entries that differ, a shadow holds what was folded, and nothing else changes", async () => {
  await using world = await startWorld({ "sums.ts": summing("n") });
  await using _node = await world.start();
  const events = some(0, 1_000);
  await world.produce(events.slice(0, 500)); // both halves keep the order of each key
  await world.produce(events.slice(500));
  await world.settled();
  const file = join(world.handlers, "..", "changed.ts");
  writeFileSync(file, summing("(n > 970 ? n + 1 : n)"));

  const told = await replayed<Comparison>(world, "sums", "--from", "first", "--what-if", file);
  const [live, next] = [folded(events, (n) => n), folded(events, (n) => (n > 970 ? n + 1 : n))];
  const expected = [...live.keys()].filter(
    (key) => JSON.stringify(live.get(key)) !== JSON.stringify(next.get(key)),
  );
  assert.ok(expected.length > 0 && expected.length < live.size);
  assert.deepEqual(
    new Map(told.differences.map(({ key, live, next }) => [key, [live, next]])),
    new Map(expected.map((key) => [key, [live.get(key), next.get(key)]])),
  );
  assert.deepEqual(told.differing, { emits: 0, entries: expected.length, letters: 0 });

  for (let run = 0; run < 2; run++) {
    const shadow = await replayed(world, "sums", "--from", "first", "--into", "sums2");
    assert.deepEqual([shadow.read, shadow.stored], run === 0 ? [1_000, 1_000] : [0, 0]);
  }
  for (const key of live.keys()) {
    const names = ["sums", "sums2"];
    const [a, b] = await Promise.all(
      names.map(async (name) => {
        const stored = await (await jetstreamManager(world.nc)).streams.getMessage(`KV_${name}`, {
          last_by_subj: `$KV.${name}.${key}`,
        });
        return stored?.string();
      }),
    );
    assert.equal(b, a);
    assert.equal(b, live.get(key) === null ? "" : JSON.stringify(live.get(key)));
  }
});

test("of a changed reaction the events are told that emit other events, fail, or fail no more; times do not count", async () => {
  const source = (data: string, fails: string) => `${declarations}
export const relay = on(Placed, { emits: [Noted], start: "first", retry: [] }, ({ data: { n } }, ctx) => {
  if (${fails}) throw new Error("no");
  ctx.emit(Noted, ${data});
});`;
  await using world = await startWorld({
    "relay.ts": source("{ n, replaying: false }", "n === 5"),
  });
  await using _node = await world.start();
  await world.produce(some(0, 60));
  await world.settled();
  const changed = "{ replaying: false, n: n % 7 === 0 ? n + 1 : n }";
  const file = join(world.handlers, "..", "relay.ts");
  writeFileSync(file, source(changed, "n === 6"));
  const args = ["relay.relay", "--from", "first", "--what-if"];
  const told = await replayed<Comparison>(world, ...args, file);
  const ids = (kind: string) =>
    told.differences.filter((one) => one.kind === kind).map(({ id }) => id);
  assert.deepEqual(ids("letters").sort(), ["e5", "e6"]);
  assert.equal(told.mended, 1);
  const sevens = Array.from({ length: 9 }, (_, i) => `e${i * 7}`);
  assert.deepEqual(new Set(ids("emits")), new Set(sevens));
  const before = (await world.log()).length;
  const same = await replayed<Comparison>(world, ...args, world.handlers);
  assert.deepEqual(same.differences, []);
  assert.equal((await world.log()).length, before);
});

test("what cannot be meant is refused with what is there: handlers, positions, times, ways to store", async () => {
  await using world = await startWorld({ "relay.ts": silent, "sums.ts": summing("n") });
  await using _node = await world.start();
  await world.produce(some(0, 20));
  await world.settled();
  const refused = async (code: number, said: RegExp, ...args: string[]) => {
    const all = ["replay", ...args, "--handlers", world.handlers];
    const result = await runEddy(all, { EDDY_NATS_SERVERS: world.nats.url });
    assert.match(result.err, said);
    assert.equal(result.code, code, result.err);
    assert.doesNotMatch(result.err, /bug in eddy|\n\s+at /);
  };
  await refused(3, /EDDY_NOT_FOUND .*relay\.relay, sums/, "relay.none", "--from", "first");
  const nonsense = ["tomorrow", "0", "-1", "1e3", "OTHER:3", "2026-13-01", "", "EVENTS:"];
  for (const from of nonsense)
    await refused(2, /EDDY_REPLAY_RANGE/, "relay.relay", `--from=${from}`);
  await refused(2, /EDDY_REPLAY_RANGE/, "relay.relay", "--from", "9", "--to", "3");
  await refused(2, /EDDY_REPLAY_RANGE/, "relay.relay", "--from", "9999999");
  await refused(2, /EDDY_USAGE .*--into NAME/, "sums", "--from", "first");
  await refused(2, /EDDY_USAGE/, "sums", "--from", "first", "--effects");
  await refused(2, /EDDY_USAGE/, "relay.relay", "--from", "first", "--into", "x");
  await refused(2, /EDDY_USAGE/, "relay.relay", "--from", "1", "--into", "a.b", "--effects");
  await refused(1, /EDDY_REPLAY_INTO/, "sums", "--from", "first", "--into", "sums");
  await refused(3, /EDDY_NOT_FOUND/, "sums", "--from", "first", "--what-if", "/nowhere");
  await (await jetstreamManager(world.nc)).streams.purge("EVENTS", { seq: 10 });
  await refused(3, /EDDY_REPLAY_GONE .*EVENTS:10, stored at 2/, "relay.relay", "--from", "3");
  await refused(3, /EDDY_REPLAY_GONE/, "relay.relay", "--from", "2020-01-01");
});
