import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeBlock, encodeBlock } from "./blocks.ts";
import { hashIdentity } from "./hash.ts";
import { createWindow } from "./window.ts";

test("what was added is found at its sequence, until it leaves by count", () => {
  const window = createWindow(1_000);
  for (let n = 1; n <= 5_000; n++) window.add(hashIdentity("/s", String(n)), n);
  assert.equal(window.size, 1_000);
  assert.equal(window.find(hashIdentity("/s", "4001")), 4_001);
  assert.equal(window.find(hashIdentity("/s", "4000")), 0);
});

test("W1: a million identities take at most 32 bytes each", () => {
  const window = createWindow(1_000_000);
  for (let n = 1; n <= 1_000_000; n++) window.add(hashIdentity("/s", String(n)), n);
  assert.ok(window.bytes / window.size <= 32, `${window.bytes / window.size} bytes each`);
});

test("the window behaves like a map of the newest entries, whatever comes", () => {
  const hashes = fc.record({
    hi: fc.integer({ min: 0, max: 1 }),
    lo: fc.integer({ min: 0, max: 40 }),
  });
  const steps = fc.array(
    fc.oneof(fc.record({ add: hashes }), fc.record({ below: fc.integer({ min: 0, max: 9 }) })),
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 30 }), (all, countMax) => {
      const window = createWindow(countMax);
      let model: { key: string; seq: number }[] = [];
      let seq = 0;
      for (const step of all) {
        if ("add" in step) {
          seq += 1;
          window.add(step.add, seq);
          model.push({ key: `${step.add.hi} ${step.add.lo}`, seq });
          if (model.length > countMax) model.shift();
        } else {
          const below = seq - step.below;
          window.forgetBelow(below);
          model = model.filter((entry) => entry.seq >= below);
        }
        assert.equal(window.size, model.length);
        for (let lo = 0; lo <= 40; lo++) {
          const last = model.findLast((entry) => entry.key === `1 ${lo}`)?.seq ?? 0;
          assert.equal(window.find({ hi: 1, lo }), last);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test("a block is added as its identities one by one, above a sequence, with room made ahead or not", () => {
  const sequences = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3_000 });
  fc.assert(
    fc.property(sequences, fc.nat(3_000), fc.boolean(), (distances, above, ahead) => {
      const [whole, single] = [createWindow(2_000), createWindow(2_000)];
      for (const window of [whole, single]) window.add(hashIdentity("/s", "before"), 1);
      const named = distances.map((_, at) => hashIdentity("/s", String(at)));
      const hashes = Uint32Array.from(named.flatMap(({ hi, lo }) => [hi, lo]));
      if (ahead) whole.expect(distances.length);
      whole.addBlock({ from: 1, hashes, distances: Uint32Array.from(distances) }, above);
      let seq = 1;
      for (const [at, hash] of named.entries()) {
        seq += distances[at] ?? 0;
        if (seq > above) single.add(hash, seq);
      }
      assert.equal(whole.size, single.size);
      for (const hash of named) assert.equal(whole.find(hash), single.find(hash));
      assert.deepEqual(whole.slice(1, seq), single.slice(1, seq));
    }),
    { numRuns: 30 },
  );
});

test("hashes of similar identities differ, and the border between source and id counts", () => {
  const seen = new Set<string>();
  for (let n = 0; n < 200_000; n++) {
    const { hi, lo } = hashIdentity(`/shops/${n % 100}`, `order-${n}`);
    seen.add(`${hi} ${lo}`);
  }
  assert.equal(seen.size, 200_000);
  assert.notDeepEqual(hashIdentity("a", "bc"), hashIdentity("ab", "c"));
});

test("a block reads back as it was written, and garbage is no block", () => {
  const window = createWindow(100);
  for (let n = 1; n <= 50; n++) window.add(hashIdentity("/s", String(n)), n * 3);
  const block = {
    createdMs: 7,
    from: 10,
    to: 120,
    toMs: 9,
    ...window.slice(10, 120),
    repeats: [[11, 3]] as const,
  };
  const read = decodeBlock(encodeBlock(block));
  assert.deepEqual(read, block);
  assert.equal(read?.distances.length, 37);
  assert.equal(decodeBlock(Buffer.from("garbage")), undefined);
  assert.equal(decodeBlock(encodeBlock(block).subarray(0, 40)), undefined);
});
