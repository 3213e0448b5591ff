import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { createClient } from "../../runtime/client/index.ts";
import { decodeRecord } from "../../runtime/pipeline/ledger/record.ts";
import { type Entry, openProjectionReader } from "../../runtime/projections/index.ts";
import { eddyJson, runEddy } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { countMessages } from "../support/log.ts";
import { countsOf, startWorld, type World } from "../support/world.ts";

const types = `import { event, on, projection, Type } from "eddyline";
const Data = Type.Object({ who: Type.String(), city: Type.String(), n: Type.Integer() });
export const Moved = event("com.acme.moved", Data);
export const Left = event("com.acme.left", Data);
export const Asked = event("com.acme.asked", Type.Object({ city: Type.String() }));
export const Told = event("com.acme.told", Type.Object({ who: Type.Array(Type.String()) }));
`;

const customers = (indexes: string) => `${types}
export const customers = projection("customers", {
  from: [Moved, Left],
  retry: [],
  key: (e) => e.data.who,
  apply: (_, e) => (e.type === Left.type ? null : e.data) as never,
  ${indexes}
});
export const tell = on(Asked, { emits: [Told] }, async (e, ctx) => {
  const { entries } = await ctx.find(customers, { city: e.data.city } as never);
  ctx.emit(Told, { who: entries.map(({ key }) => key) });
});
`;
const byCity = `indexes: {
  city: (state) => { if (state.city === "nowhere") throw new Error("no such city"); return state.city; },
  last: (state) => state.n % 10,
},`;

const cities = ["Bern", "Basel", "a.b *>", "😀"];
// Several changes follow each other on a key, and a deletion now and then.
const change = (n: number) => ({
  id: `e${n}`,
  type: n % 7 === 3 ? "com.acme.left" : "com.acme.moved",
  subject: `k${(n * 13) % 97}`,
  data: { who: `c.${(n * 13) % 97}`, city: cities[((n * n) % 11) % 4] as string, n },
});

/** What the log folds to, by the test. */
async function folded(world: World) {
  const state = new Map<string, { city: string; n: number }>();
  for (const { attributes, data } of await world.log()) {
    const { who, ...rest } = data as { who: string; city: string; n: number };
    if (attributes.type === "com.acme.left") state.delete(who);
    else state.set(who, rest);
  }
  return state;
}

const whoIn = (state: ReadonlyMap<string, { city: string }>, city: string) =>
  [...state].flatMap(([who, at]) => (at.city === city ? [who] : [])).sort();

test("P1 P2: killed again and again while it folds, an index says of each entry what the entry says, and in the end what the log folds to", async () => {
  await using world = await startWorld({ "c.ts": customers(byCity) });
  let node = await world.start();
  const producing = world.produce(Array.from({ length: 3_000 }, (_, n) => change(n)));
  const cursor = async () => {
    const jsm = await jetstreamManager(world.nc);
    const last = await jsm.streams.getMessage("KV_customers", { last_by_subj: "cursor.customers" });
    return last === null ? 0 : decodeRecord(last.data).counts.handled;
  };
  const reader = await openProjectionReader(world.nc, { app: "eddy", home: "EVENTS" });
  const all = async (where: [string, string | number][]): Promise<readonly Entry[]> =>
    (await reader.entries("customers", { where, limit: 1_000 }))?.entries ?? assert.fail("unknown");
  for (let kills = 0, seen = 0; kills < 4; kills++) {
    await eventually(async () => (await cursor()) > seen + 50, { timeoutMs: 20_000 });
    await node.kill();
    seen = await cursor();
    const found = new Map<string, string>();
    for (const city of cities) {
      for (const { key, value } of await all([["city", city]])) {
        assert.equal(Reflect.get(Object(value), "city"), city, `${key} is not in ${city}`);
        assert.ok(!found.has(key), `${key} is in two cities`);
        found.set(key, city);
      }
    }
    assert.equal(found.size, (await all([])).length, "an entry is in no city");
    node = await world.start({ ready: false });
  }
  await producing;
  await using last = node;
  await last.untilReady();
  const rows = await world.settled();
  assert.deepEqual(countsOf(rows, "customers"), [3_000, 3_000, 0, 0]);
  const state = await folded(world);
  const client = createClient(last.url);
  for (const city of cities) {
    const { entries } = await client.find<{ city: string }>("customers", {
      where: { city },
      limit: 1_000,
    });
    assert.deepEqual(
      entries.map(({ key }) => key),
      whoIn(state, city),
    );
    const args = ["projection", "get", "customers", "--where", `city=${city}`];
    assert.deepEqual(
      (await eddyJson<{ keys: string[] }>(world.nats, ...args)).keys,
      whoIn(state, city),
    );
  }
  const [listed] = await eddyJson<{ entries: number }[]>(world.nats, "projection", "list");
  assert.equal(listed?.entries, state.size);
  assert.equal((await runEddy(["reconcile"], { EDDY_NATS_SERVERS: world.nats.url })).code, 0);
});

for (const env of [{}, { EDDY_FOLDERS: "{c.ts: {isolation: thread, memory: 64MiB}}" }]) {
  const where = "EDDY_FOLDERS" in env ? "in a thread" : "in the process";
  test(`${where}: an index that is saved later answers once it is complete; one that throws leaves its entry alone; a handler finds entries`, async () => {
    await using world = await startWorld({ "c.ts": customers("") });
    await using node = await world.start({ env });
    const client = createClient(node.url);
    const say = async (who: string, city: string, n = 1) => {
      const event = { type: "com.acme.moved", source: "/t", subject: who, data: { who, city, n } };
      const { position } = await client.publish(event);
      return position;
    };
    const put = async (who: string, city: string) => {
      await client.read("customers", who, { after: await say(who, city), wait: "20s" });
    };
    const inBern = async () => {
      const { entries } = await client.find("customers", { where: { city: "Bern" } });
      return entries.map(({ key }) => key);
    };
    await put("a", "Bern");
    await put("b", "Basel");
    await assert.rejects(inBern(), { code: "EDDY_INDEX_UNKNOWN", status: 400 });
    world.write("c.ts", customers(byCity));
    await eventually(
      async () => {
        await put("c", "Bern");
        await assert.rejects(inBern(), { code: "EDDY_INDEX_INCOMPLETE", status: 409 });
        return true;
      },
      { timeoutMs: 20_000 },
    );
    // c too: it may have been folded by the version before, while the index was declared already.
    for (const who of ["a", "b", "c"]) await put(who, "Bern");
    assert.deepEqual(await inBern(), ["a", "b", "c"]);
    const failing = await say("b", "nowhere");
    const lacks = { code: "EDDY_PROJECTION_LACKS" };
    await assert.rejects(client.read("customers", "b", { after: failing, wait: "20s" }), lacks);
    assert.deepEqual(await inBern(), ["a", "b", "c"]);
    await put("b", "Basel");
    assert.deepEqual(await inBern(), ["a", "c"]);
    await client.publish({ type: "com.acme.asked", source: "/t", data: { city: "Bern" } });
    const told = async () =>
      (await world.log()).find(({ attributes }) => attributes.type === "com.acme.told");
    await eventually(async () => (await countMessages(world.nc, "events.com.acme.told.*")) === 1);
    assert.deepEqual((await told())?.data, { who: ["a", "c"] });
    const wrong = await runEddy(["projection", "get", "customers", "--where", "town=x"], {
      EDDY_NATS_SERVERS: world.nats.url,
    });
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /EDDY_INDEX_UNKNOWN.*city, last/);
  });
}
