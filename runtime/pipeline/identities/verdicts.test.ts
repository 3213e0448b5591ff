import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hashIdentity } from "./hash.ts";
import type { Identity } from "./identity.ts";
import { createVerdicts, type VerdictParts } from "./verdicts.ts";

type Log = readonly (Identity | undefined)[];

/** Notes a whole log; `order` chooses which open question is answered next. Gives each position's verdict. */
async function verdictsOn(log: Log, hash: VerdictParts["hash"], order: readonly number[] = []) {
  const questions: (() => void)[] = [];
  const verdicts = createVerdicts({
    countMax: 1_000,
    hash,
    readIdentity: (seq) => new Promise((resolve) => questions.push(() => resolve(log[seq - 1]))),
    onPassed() {},
    onUnread: () => assert.fail("nothing is unread"),
  });
  for (const [at, identity] of log.entries()) verdicts.note(at + 1, identity);
  for (let turn = 0; questions.length > 0; turn++) {
    questions.splice((order[turn % order.length] ?? 0) % questions.length, 1)[0]?.();
    for (let tick = 0; tick < 4; tick++) await Promise.resolve();
  }
  assert.equal(verdicts.passed, log.length);
  return log.map((_, at) => verdicts.repeatOf(at + 1));
}

test("V4: an event that nobody before it resembles waits for no other one's verdict; one that does, waits", () => {
  const verdicts = createVerdicts({
    countMax: 1_000,
    hash: hashIdentity,
    readIdentity: () => new Promise(() => {}), // no answer
    onPassed() {},
    onUnread: () => assert.fail("nothing is unread"),
  });
  for (const [at, id] of ["1", "1", "2", "3", "2"].entries())
    verdicts.note(at + 1, { source: "/a", id });
  assert.equal(verdicts.passed, 1);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].filter((seq) => verdicts.knows(seq)),
    [1, 3, 4],
  );
});

/** Where each identity stands first. */
function firstsOf(log: Log): number[] {
  const firsts = new Map<string, number>();
  return log.map((identity, at) => {
    if (identity === undefined) return 0;
    const name = JSON.stringify([identity.source, identity.id]);
    const first = firsts.get(name);
    if (first === undefined) firsts.set(name, at + 1);
    return first ?? 0;
  });
}

const anyLog = fc.array(
  fc.option(
    fc.record({
      source: fc.constantFrom("/a", "/b"),
      id: fc.constantFrom("1", "2", "3", "4", "5"),
    }),
    { nil: undefined },
  ),
  { maxLength: 40 },
);
const anyOrder = fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 10 });

test("V1: a position repeats the first of its identity, whenever the originals are read", async () => {
  await fc.assert(
    fc.asyncProperty(anyLog, anyOrder, async (log, order) => {
      assert.deepEqual(await verdictsOn(log, hashIdentity, order), firstsOf(log));
    }),
  );
});

test("V2: with a hash that tells nearly nothing apart, no event is taken for another one", async () => {
  const weak = (source: string, id: string) => ({ hi: 0, lo: (source.length + id.length) & 1 });
  await fc.assert(
    fc.asyncProperty(anyLog, anyOrder, async (log, order) => {
      const found = await verdictsOn(log, weak, order);
      for (const [at, first] of found.entries()) {
        const [a, b] = [log[first - 1], log[at]];
        if (first !== 0) assert.deepEqual([a?.source, a?.id], [b?.source, b?.id]);
      }
    }),
  );
});

test("V3: also under collisions the verdicts do not depend on when originals are read", async () => {
  const weak = (_: string, id: string) => ({ hi: 0, lo: Number(id) & 1 });
  await fc.assert(
    fc.asyncProperty(anyLog, anyOrder, anyOrder, async (log, one, other) => {
      assert.deepEqual(await verdictsOn(log, weak, one), await verdictsOn(log, weak, other));
    }),
  );
});
