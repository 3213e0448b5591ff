import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { startNats, type TestNats } from "../../tests/support/nats.ts";
import { event, marksOf, projection } from "../authoring/index.ts";
import { connectBroker, storeBatch } from "../broker/index.ts";
import type { EntryQuery } from "../pipeline/index.ts";
import { openProjectionReader, type ProjectionReader } from "./read.ts";
import { openEntries } from "./write.ts";

interface Customer {
  readonly city: string;
  readonly tags: readonly string[];
  readonly text?: string;
}

const Changed = event("com.acme.changed", Type.Any());
const base = { from: [Changed], key: () => "", apply: () => null, state: Type.Any() };
const indexes = { city: (c: Customer) => c.city, tag: (c: Customer) => c.tags };

async function connect(nats: TestNats) {
  const options = { servers: [nats.url], name: "t", timeoutMs: 5_000 };
  const broker = await connectBroker(options, { app: "test", home: "EVENTS" });
  const open = async (name: string, declared: object = indexes) => {
    const of = projection(name, { ...base, indexes: declared as typeof indexes });
    const entries = await openEntries(broker, of, () => {});
    const messageOf = (key: string, state: Customer | null) =>
      entries.fold(key, state, state === null ? "" : marksOf(of as never, state));
    const store = async (...changes: (readonly [string, Customer | null])[]) => {
      const messages = changes.map(([key, state]) => messageOf(key, state));
      const result = await storeBatch(broker.nc, messages, 10_000);
      assert.equal(result.kind, "stored", JSON.stringify(result));
    };
    return { store };
  };
  const reader = await openProjectionReader(broker.nc, broker);
  return { broker, open, reader, [Symbol.asyncDispose]: () => broker.close() };
}

const at = (city: string, ...tags: string[]): Customer => ({ city, tags });
const keysOf = async (reader: ProjectionReader, name: string, query: Partial<EntryQuery> = {}) =>
  (await reader.keys(name, { limit: 1_000, ...query }))?.keys;

const fits = ({ where = [], prefix = "" }: EntryQuery, key: string, state: Customer | undefined) =>
  state !== undefined &&
  key.startsWith(prefix) &&
  where.every(([index, value]) =>
    index === "city" ? state.city === value : state.tags.includes(String(value)),
  );

const keyArb = fc.oneof(
  fc.constantFrom(
    "a",
    "a.b",
    "a/b",
    "ab",
    "a*",
    "a>",
    "a b",
    "é",
    "ä",
    "😀",
    "A",
    "=",
    "=41",
    "\uffff",
  ),
  fc.string({ minLength: 1, maxLength: 3 }),
);
const cityArb = fc.constantFrom(
  "Bern",
  "Basel",
  "",
  "a b",
  "*",
  ">",
  "a.b",
  "😀",
  "x".repeat(10_000),
);
const tagsArb = fc.array(fc.constantFrom("a", "b", "a b"), { maxLength: 2 });
const changeArb = fc.tuple(
  keyArb,
  fc.option(fc.record({ city: cityArb, tags: tagsArb }, { noNullPrototype: true }), { freq: 4 }),
);
const changesArb = fc.array(changeArb, { maxLength: 12 });
const queryArb = fc.record({
  limit: fc.integer({ min: 1, max: 4 }),
  prefix: fc.constantFrom("", "a", "a.", "é", "=", "\u00e4", "😀"),
  where: fc.array(
    fc.oneof(
      fc.tuple(fc.constant("city"), cityArb),
      fc.tuple(fc.constant("tag"), fc.constantFrom("a", "b")),
    ),
    { maxLength: 2 },
  ),
});

test("Q1: whatever is written between pages, what fits all the time comes exactly once and in order, and nothing that never fitted", async () => {
  await using nats = await startNats({ sync: "default" });
  await using t = await connect(nats);
  const apart = await openProjectionReader(t.broker.nc, t.broker); // always reads anew what `reader` remembers
  let runs = 0;
  const property = async (
    before: [string, Customer | null][],
    query: EntryQuery,
    between: [string, Customer | null][][],
    values: boolean,
  ) => {
    const name = `p${++runs}`;
    const { store } = await t.open(name);
    const model = new Map<string, Customer>();
    const always = new Set<string>();
    const ever = new Set<string>();
    const change = async (changes: [string, Customer | null][], reading: boolean) => {
      for (const [key, state] of changes) {
        await store([key, state]);
        if (state === null) model.delete(key);
        else model.set(key, state);
        if (fits(query, key, model.get(key))) ever.add(key);
        else if (reading) always.delete(key);
      }
    };
    await change(before, false);
    ever.clear();
    for (const [key, state] of model) if (fits(query, key, state)) always.add(key);
    for (const key of always) ever.add(key);
    const read: string[] = [];
    let after: string | undefined;
    for (let page = 0; page === 0 || after !== undefined; page++) {
      const asked = { ...query, ...(after === undefined ? {} : { after }) };
      const found = values ? await t.reader.entries(name, asked) : await t.reader.keys(name, asked);
      assert.ok(found !== undefined);
      const keys = "keys" in found ? found.keys : found.entries.map(({ key }) => key);
      assert.ok(keys.length <= query.limit);
      if ("entries" in found)
        for (const { key, value } of found.entries) assert.deepEqual(value, model.get(key));
      read.push(...keys);
      after = found.next;
      await change(between[page] ?? [], true);
    }
    assert.deepEqual(read, [...new Set(read)].sort());
    for (const key of always) assert.ok(read.includes(key), `${JSON.stringify(key)} is missing`);
    for (const key of read) assert.ok(ever.has(key), `${JSON.stringify(key)} never fitted`);
    // And now, from memory and read anew: what the model says.
    const all = { ...query, limit: 1_000 };
    const expected = [...model].filter(([key, state]) => fits(query, key, state));
    for (const reader of [t.reader, apart]) {
      const keys = expected.map(([key]) => key).sort();
      assert.deepEqual(await keysOf(reader, name, all), keys);
    }
    await t.broker.jsm.streams.delete(`KV_${name}`);
  };
  await fc.assert(
    fc.asyncProperty(
      changesArb,
      queryArb,
      fc.array(changesArb, { maxLength: 6 }),
      fc.boolean(),
      property,
    ),
    { numRuns: 60 },
  );
});

test("10,000 entries are paged while others are written and deleted: each that stays comes once", async (t) => {
  await using nats = await startNats({ sync: "default" });
  await using c = await connect(nats);
  const { store } = await c.open("big");
  const key = (n: number) => `${n % 7}.${n}`; // dots are encoded
  for (let n = 0; n < 10_000; n += 500) {
    await store(
      ...Array.from({ length: 500 }, (_, i) => [key(n + i), at(`c${(n + i) % 50}`)] as const),
    );
  }
  const stays = (n: number) => n % 3 !== 0;
  let writing = true;
  let written = 0;
  const writer = (async () => {
    for (let n = 0; writing; n = (n + 3) % 10_000) {
      if (stays(n)) continue;
      const state = written++ % 2 === 0 ? null : at("elsewhere");
      await store([key(n), state], [`new-${n}`, at(`c${n % 50}`)]);
    }
  })();
  for (const where of [[], [["city", "c1"]]] as const) {
    const began = performance.now();
    const read: string[] = [];
    let pages = 0;
    for (let after: string | undefined; pages === 0 || after !== undefined; pages++) {
      const query = { where, limit: 100, ...(after === undefined ? {} : { after }) };
      const page = await c.reader.keys("big", query);
      read.push(...(page?.keys ?? []));
      after = page?.next;
    }
    const ms = (performance.now() - began) / pages;
    t.diagnostic(`${pages} pages, ${ms.toFixed(1)} ms each, ${written} writes so far`);
    const numbers = Array.from({ length: 10_000 }, (_, n) => n).filter(stays);
    const expected = numbers.filter((n) => where.length === 0 || n % 50 === 1).map(key);
    const seen = new Set(read);
    assert.equal(seen.size, read.length);
    assert.deepEqual(
      expected.filter((one) => !seen.has(one)),
      [],
    );
  }
  writing = false;
  await writer;
  assert.ok(written > 20, `only ${written} writes came between`);
});

test("Q2: an index that some entries lack does not answer, until they were folded again; one that nobody declared is named", async () => {
  await using nats = await startNats({ sync: "default" });
  await using c = await connect(nats);
  const { city } = indexes;
  const old = await c.open("p", { city });
  await old.store(["a", at("Bern", "x")], ["b", at("Bern")]);
  const byTag = { where: [["tag", "x"]] } as const;
  await assert.rejects(keysOf(c.reader, "p", byTag), {
    code: "EDDY_INDEX_UNKNOWN",
    message: /no index "tag".* indexes city$/,
  });
  const now = await c.open("p");
  await now.store(["c", at("Bern", "x")]);
  await assert.rejects(keysOf(c.reader, "p", byTag), {
    code: "EDDY_INDEX_INCOMPLETE",
    message: /2 of 3 entries/,
  });
  assert.deepEqual(await keysOf(c.reader, "p", { where: [["city", "Bern"]] }), ["a", "b", "c"]);
  await now.store(["a", at("Basel", "x")]);
  await assert.rejects(keysOf(c.reader, "p", byTag), /1 of 3 entries/);
  await now.store(["b", null]);
  assert.deepEqual(await keysOf(c.reader, "p", byTag), ["a", "c"]);
  await c.open("none", {});
  await assert.rejects(keysOf(c.reader, "none", byTag), /declares no indexes/);
});

test("what a reader remembers is what the server has: after a purge, a bucket made anew, and beyond what it keeps", async () => {
  await using nats = await startNats({ sync: "default" });
  await using c = await connect(nats);
  const first = await c.open("p");
  await first.store(["a", at("Bern")], ["b", at("Bern")], ["c", at("Bern")]);
  assert.deepEqual(await keysOf(c.reader, "p"), ["a", "b", "c"]);
  await c.broker.jsm.streams.purge("KV_p", { filter: "$KV.p.b" });
  assert.deepEqual(await keysOf(c.reader, "p"), ["a", "c"]);
  await c.broker.jsm.streams.delete("KV_p");
  assert.equal(await keysOf(c.reader, "p"), undefined);
  const second = await c.open("p");
  await second.store(["d", at("Bern")], ["e", at("Bern")], ["f", at("Bern")]);
  assert.deepEqual(await keysOf(c.reader, "p"), ["d", "e", "f"]);
  // Questions side by side each see what was stored before them.
  const asked: Promise<unknown>[] = [];
  for (let n = 0; n < 30; n++) {
    await second.store([`n${n}`, at("Bern")]);
    const expected = ["d", "e", "f", ...Array.from({ length: n + 1 }, (_, i) => `n${i}`)];
    const check = async () => {
      const keys = new Set(await keysOf(c.reader, "p"));
      assert.deepEqual(
        expected.filter((key) => !keys.has(key)),
        [],
      );
    };
    asked.push(check());
  }
  await Promise.all(asked);
});

test("a page of values is bounded by their size; what is changed after its page was chosen is given as it is, or left out", async () => {
  await using nats = await startNats({ sync: "default" });
  await using c = await connect(nats);
  const { store } = await c.open("p");
  const large = { ...at("Bern"), text: "x".repeat(900_000) };
  for (const key of "abcdefghij") await store([key, large]);
  const sizes: number[] = [];
  const read: string[] = [];
  for (let after: string | undefined; sizes.length === 0 || after !== undefined; ) {
    const query = { limit: 1_000, ...(after === undefined ? {} : { after }) };
    const page = await c.reader.entries("p", query);
    sizes.push(page?.entries.length ?? 0);
    read.push(...(page?.entries.map(({ key }) => key) ?? []));
    after = page?.next;
  }
  assert.deepEqual(sizes, [4, 4, 2]);
  assert.equal(read.join(""), "abcdefghij");
  assert.equal((await keysOf(c.reader, "p"))?.length, 10);
  await store(...Array.from({ length: 900 }, (_, n) => [`m${n}`, at("Basel")] as const));
  const page = await c.reader.entries("p", { limit: 1_000, where: [["city", "Basel"]] });
  assert.equal(page?.entries.length, 900);
  assert.deepEqual(page?.entries[0]?.value, at("Basel"));
});
