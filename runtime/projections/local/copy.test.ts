import assert from "node:assert/strict";
import { test } from "node:test";
import { createCopy } from "./copy.ts";

const version = (seq: number, value?: unknown) => ({
  seq,
  text: value === undefined ? undefined : JSON.stringify(value),
});
const large = 2 ** 30;

test("C1: an entry never goes back, whichever way it is learned", () => {
  const copy = createCopy("p", "all", large);
  copy.learn("a", version(5, "five"));
  copy.follow("a", version(3, "three"));
  assert.equal(copy.look("a")?.value, "five");
  copy.learn("a", version(7));
  copy.follow("a", version(5, "five"));
  assert.equal(copy.look("a")?.value, undefined, "deleted by this process");
  copy.follow("a", version(7));
  assert.equal(copy.entries, 0, "a deletion that the bucket has told takes nothing");
  copy.follow("a", version(9, "nine"));
  copy.learn("a", version(8, "eight"));
  assert.equal(copy.look("a")?.value, "nine");
});

test("C2: a bounded copy keeps what was read last, and does not know the rest", () => {
  const copy = createCopy("p", 2, large);
  for (const [at, key] of ["a", "b"].entries()) copy.ask(key)(version(at + 1, key));
  assert.equal(copy.look("a")?.value, "a");
  copy.ask("c")(version(3, "c"));
  assert.equal(copy.look("b"), undefined, "the one that was not read for longest is gone");
  assert.equal(copy.look("a")?.value, "a");
  assert.equal(copy.entries, 2);
  copy.follow("b", version(4, "later"));
  assert.equal(copy.look("b"), undefined, "what is not kept is not taken up");
  copy.follow("a", version(5));
  assert.deepEqual(copy.look("a"), { value: undefined }, "known to be deleted");
  copy.ask("none")(version(0));
  assert.deepEqual(copy.look("none"), { value: undefined }, "known to be absent");
  copy.follow("none", version(6, "there"));
  assert.equal(copy.look("none")?.value, "there");
});

test("C3: what changes while the server is asked counts before its answer", () => {
  const copy = createCopy("p", 2, large);
  const answer = copy.ask("k");
  copy.follow("k", version(9, "new"));
  assert.equal(answer(version(8, "old")).value, "new");
  assert.equal(copy.look("k")?.value, "new");
});

test("a bounded copy keeps fewer entries where they are large, and gives back what they took", () => {
  const copy = createCopy("p", 100, 10_000);
  for (let n = 1; n <= 100; n++) copy.ask(`k${n}`)(version(n, "x".repeat(1_000)));
  assert.ok(copy.sizeBytes <= 10_000 && copy.entries >= 5, `${copy.entries}, ${copy.sizeBytes}`);
  assert.equal(copy.look("k100")?.value, "x".repeat(1_000));
});

test("all readers get one value, which nobody can change", () => {
  const copy = createCopy("p", "all", large);
  copy.follow("k", version(1, { deep: [{ n: 1 }] }));
  const value = copy.look("k")?.value as { deep: { n: number }[] };
  assert.throws(() => {
    (value.deep[0] as { n: number }).n = 2;
  }, TypeError);
  assert.equal(copy.look("k")?.value, value);
});
