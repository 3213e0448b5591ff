import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pack } from "msgpackr";
import { noCounts } from "./counts.ts";
import { decodeRecord, encodeRecord, type LedgerRecord } from "./record.ts";

const plain = { noNullPrototype: true } as const;
const whole = fc.integer({ min: 0, max: 2 ** 48 });
const records: fc.Arbitrary<LedgerRecord> = fc.record(
  {
    epoch: whole,
    instance: fc.string(),
    commit: whole,
    counts: fc.record(
      {
        delivered: whole,
        handled: whole,
        duplicate: whole,
        filtered: whole,
        expired: whole,
        retrying: whole,
        dead: whole,
      },
      plain,
    ),
    inputs: fc.array(
      fc.record(
        {
          stream: fc.string(),
          createdMs: whole,
          floor: whole,
          above: fc.array(whole).map((seqs) => seqs.toSorted((a, b) => a - b)),
          trial: fc.record(
            {
              upTo: whole,
              count: whole,
              marker: fc.record(
                { seqs: fc.array(whole), size: fc.nat(), deaths: fc.nat(), active: fc.boolean() },
                plain,
              ),
            },
            { ...plain, requiredKeys: ["upTo", "count"] },
          ),
        },
        { ...plain, requiredKeys: ["stream", "createdMs", "floor", "above"] },
      ),
      { minLength: 1, maxLength: 3 },
    ),
    clean: fc.constant(true as const),
    shape: fc.string(),
  },
  { ...plain, requiredKeys: ["epoch", "instance", "commit", "counts", "inputs"] },
);

test("R1: a record reads back as it was written", () => {
  fc.assert(
    fc.property(records, (record) => assert.deepEqual(decodeRecord(encodeRecord(record)), record)),
  );
});

test("a usual record takes tens of bytes", () => {
  const record: LedgerRecord = {
    epoch: 12,
    instance: "01JDC7Q8Z5W1V6T0K3M9N2P4R7",
    commit: 48_211,
    counts: {
      delivered: 1e6,
      handled: 7e5,
      duplicate: 12,
      filtered: 3e5,
      expired: 0,
      retrying: 3,
      dead: 1,
    },
    inputs: [
      {
        stream: "EVENTS",
        createdMs: Date.UTC(2026, 10, 24),
        floor: 2_000_000,
        above: [2_000_002, 2_000_040],
      },
    ],
  };
  assert.ok(encodeRecord(record).byteLength < 100);
});

test("R1: a record of the version before, which knew neither stops nor trials nor what is filtered, reads as one without", () => {
  const old = [1, 4, "A", 7, [3, 2, 1, 0, 0, 0], [["EVENTS", 9, 100, [2, 0]]]];
  const { clean, counts, inputs } = decodeRecord(pack(old));
  assert.equal(clean, undefined);
  assert.deepEqual(counts, { ...noCounts(), delivered: 3, handled: 2, duplicate: 1 });
  assert.deepEqual(inputs, [{ stream: "EVENTS", createdMs: 9, floor: 100, above: [102, 102] }]);
});

test("bytes that are no record are an error that says what to do", () => {
  for (const bytes of [new Uint8Array(0), Buffer.from("garbage"), Buffer.from([0x93, 9, 1, 2])]) {
    assert.throws(() => decodeRecord(bytes), { code: "EDDY_LEDGER_UNREADABLE" });
  }
});
