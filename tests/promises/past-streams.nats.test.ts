// The past of a projection that is folded from several streams.
import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { Type } from "typebox";
import { event, type Handler, type Projection, projection } from "../../runtime/authoring/index.ts";
import { type Broker, storeBatch } from "../../runtime/broker/index.ts";
import { positionText } from "../../runtime/events/index.ts";
import type { When } from "../../runtime/pipeline/index.ts";
import { projectionPlace } from "../../runtime/pipeline/ledger/place.ts";
import { standingMessage } from "../../runtime/pipeline/retry/standing.ts";
import { openEntries, openPast } from "../../runtime/projections/index.ts";
import { eddyJson } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { addHub, untilHubHas } from "../support/hub.ts";
import { startNats } from "../support/nats.ts";
import { makeTestEvent, startTestPipeline } from "../support/pipeline.ts";
import { type AtPlace, produceInTurns } from "../support/turns.ts";
import { startWorld } from "../support/world.ts";

const Noted = event("com.acme.noted", Type.Object({ key: Type.String(), n: Type.Integer() }));
const tails = projection("tails", {
  from: [Noted],
  streams: ["HUB"],
  key: (e) => e.data.key,
  state: Type.Object({ seen: Type.Array(Type.Integer()) }),
  apply: (state, e) => ({ seen: [...(state?.seen ?? []), e.data.n] }),
});
const declaration = tails as unknown as Projection;
const handler: Handler = { name: "tails", file: "tails.ts", version: "v1", declaration };
const never = new AbortController().signal;

interface Stored extends AtPlace {
  readonly id: string;
  readonly key: string;
  readonly n: number;
}

/** Stores events on home and hub in turns. */
async function fill(broker: Broker): Promise<Stored[]> {
  const made = Array.from({ length: 18 }, (_, n) => {
    const [key, id] = [`k${n % 2}`, n === 10 ? "e7" : `e${n}`]; // one stands twice in HUB
    const stream = n % 3 === 1 ? "HUB" : "EVENTS";
    return { stream, key, id, n, event: makeTestEvent(Noted.type, id, { key, n }) } as const;
  });
  const stored = await produceInTurns(broker, made);
  return made.map((one, at) => Object.assign(one, stored[at]));
}

function folded(stored: readonly Stored[], key: string) {
  const ids = new Set<string>();
  const seen: number[] = [];
  for (const one of stored) {
    const id = `${one.position.stream} ${one.id}`;
    if (!ids.has(id) && one.key === key && one.n !== 4) seen.push(one.n);
    ids.add(id);
  }
  return seen.length === 0 ? undefined : { seen };
}

test("each position of each stream is a moment of all of them; what waits or repeats is so in its own stream", async () => {
  await using nats = await startNats();
  await using p = await startTestPipeline(nats);
  const { broker } = p;
  await addHub(broker.nc);
  await openEntries(broker, declaration, () => {});
  const stored = await fill(broker);
  const four = stored[4]?.position ?? { stream: "", seq: 0 };
  const waits = standingMessage(projectionPlace("tails"), four, { kind: "waiting", attempt: 2 });
  assert.equal((await storeBatch(broker.nc, [waits], 5_000)).kind, "stored");
  const runs = { deadlineMs: 5_000, readEntry: async () => ({ value: undefined }) };
  const past = openPast({ broker, runs, handlers: () => [handler] }, 2);
  assert.deepEqual(past.streams("tails"), ["EVENTS", "HUB"]);

  for (const [at, { position, storedMs }] of stored.entries()) {
    const until = stored.slice(0, at + 1);
    const whens: When[] = [
      { kind: "position", position },
      { kind: "time", atMs: storedMs },
    ];
    for (const when of at % 4 === 0 ? whens : whens.slice(0, 1)) {
      const then = await past.at("tails", at % 2 === 0 ? "k0" : "k1", when, never);
      assert.deepEqual(then.value, folded(until, at % 2 === 0 ? "k0" : "k1"), `${at} ${when.kind}`);
      assert.deepEqual([then.at, then.present], [position, at === stored.length - 1]);
    }
  }

  const { rows, at } = await past.history("tails", "k0", 100, never);
  assert.deepEqual(at, stored.at(-1)?.position);
  assert.deepEqual(
    rows.map(({ position, what }) => [position, what]),
    stored
      .filter(({ key }) => key === "k0")
      .map(({ position, n }) => [
        positionText(position),
        n === 4 ? "waiting" : n === 10 ? "duplicate" : "set",
      ]),
  );
  assert.match(
    rows.find(({ what }) => what === "duplicate")?.note ?? "",
    /stands at HUB:3 already/,
  );

  const [from, to] = [stored[6], stored[13]];
  assert.ok(from && to && from.position.stream !== to.position.stream);
  const whenOf = ({ position }: Stored): When => ({ kind: "position", position });
  const between = await past.between("tails", whenOf(from), whenOf(to), { limit: 10 }, never);
  assert.deepEqual([between.from, between.to], [from.position, to.position]);
  assert.deepEqual(
    between.changes.map(({ key, before, after }) => [key, before, after]),
    ["k0", "k1"].map((key) => [
      key,
      folded(stored.slice(0, 7), key),
      folded(stored.slice(0, 14), key),
    ]),
  );
  await assert.rejects(past.between("tails", whenOf(to), whenOf(from), { limit: 1 }, never), {
    code: "EDDY_PAST_ORDER",
  });
  const early: When = { kind: "time", atMs: (stored[0]?.storedMs ?? 0) - 1 };
  await assert.rejects(past.at("tails", "k0", early, never), /EVENTS begins at EVENTS:1/);

  await broker.jsm.streams.purge("HUB", { seq: 3 });
  await assert.rejects(past.at("tails", "k0", whenOf(to), never), {
    code: "EDDY_PAST_CUT",
    message: /: HUB begins at HUB:3, stored 2/,
  });
  await broker.jsm.streams.delete("HUB");
  await assert.rejects(past.history("tails", "k0", 1, never), {
    code: "EDDY_STREAM_MISSING",
    message: /HUB/,
  });
});

const stock = `
import { event, projection, Type } from "eddyline";
const Counted = event("com.acme.stock.counted", Type.Object({ item: Type.String(), n: Type.Integer() }));
export const stock = projection("stock", {
  from: [Counted], streams: ["HUB"],
  key: (e) => e.data.item,
  state: Type.Object({ events: Type.Integer(), sum: Type.Integer() }),
  apply: (state, e) => ({ events: (state?.events ?? 0) + 1, sum: (state?.sum ?? 0) + e.data.n }),
});
`;
const counted = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => {
    const [n, item] = [from + i, `item-${(from + i) % 7}`];
    return { id: `e${n}`, type: "com.acme.stock.counted", subject: item, data: { item, n } };
  });

test("time travel: a node that feeds a projection from home and hub, the command and a fold by hand tell the same of a time in the middle", async () => {
  await using world = await startWorld({ "stock.ts": stock });
  await addHub(world.nc);
  await using node = await world.start();
  const parts = [0, 100, 200].map((from) => [counted(from, 60), counted(from + 60, 40)] as const);
  const times: number[] = [];
  for (const [at, [home, hub]] of parts.entries()) {
    await Promise.all([world.produce(home), world.produceOn("hub", hub)]);
    await untilHubHas(world.nc, 40 * (at + 1));
    times.push(Date.now());
    await eventually(() => Date.now() > (times.at(-1) ?? 0) + 1);
  }
  const sumsOf = (all: typeof parts, item: string) => {
    const mine = all.flat(2).filter(({ data }) => data.item === item);
    return { events: mine.length, sum: mine.reduce((sum, { data }) => sum + data.n, 0) };
  };
  const get = async (path: string) => {
    const answer = await fetch(`${node.url}/projections/stock/${path}`);
    return { body: await answer.json(), position: answer.headers.get("eddy-position") ?? "" };
  };
  await eventually(
    async () => {
      assert.deepEqual((await get("item-3")).body, sumsOf(parts, "item-3"), "the live entry");
      return true;
    },
    { timeoutMs: 20_000 },
  );
  for (const [at, atMs] of times.entries()) {
    const then = await get(`item-${at}?at=${new Date(atMs).toISOString()}`);
    assert.deepEqual(then.body, sumsOf(parts.slice(0, at + 1), `item-${at}`));
    const named = await get(`item-${at}?at=${then.position}`);
    assert.deepEqual(named, then, "its position means the same moment");
  }
  const json = (...args: string[]) =>
    eddyJson<Record<string, unknown>>(
      world.nats,
      "projection",
      ...args,
      "--handlers",
      world.handlers,
    );
  const when = new Date(times[1] ?? 0).toISOString();
  const then = await json("get", "stock", "item-5", "--at", when);
  assert.deepEqual([then.value, then.present], [sumsOf(parts.slice(0, 2), "item-5"), false]);
  const { from, changed } = await json("diff", "stock", "--from", when);
  assert.deepEqual([from, changed], [then.position, 7]);
  const history = await json("get", "stock", "item-5", "--history");
  assert.equal((history.events as unknown[]).length, sumsOf(parts, "item-5").events);
  const other = await fetch(`${node.url}/projections/stock/item-5?at=OTHER:1`);
  assert.match(await other.text(), /EDDY_HTTP_QUERY.*EVENTS or HUB/);
  await (await jetstreamManager(world.nc)).streams.delete("HUB");
  const gone = await fetch(`${node.url}/projections/stock/item-5?history=true`);
  assert.equal(gone.status, 503);
  assert.match(await gone.text(), /EDDY_STREAM_MISSING.*HUB/);
});
