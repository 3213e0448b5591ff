import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { EddyError } from "../events/index.ts";
import { enrich } from "./enrich.ts";
import { askedFor } from "./enrichment.ts";
import { event } from "./event-type.ts";

const Uploaded = event("a.uploaded", Type.Object({ scanId: Type.String(), href: Type.String() }), {
  carries: "reference",
});
const Read = event("a.read", Type.Object({ scanId: Type.String(), pages: Type.Integer() }), {
  carries: "state",
  key: "scanId",
  deletion: "never",
});
const ask = () => ({ scanId: "s-1", pages: 1 });

test("an enrichment is a reaction, with its bounds as data", () => {
  const rate = { limit: 5, per: "1s" } as const;
  const declared = enrich(Uploaded, Read, { share: "5s", rate, retry: ["1s"] }, ask);
  assert.equal(declared.kind, "reaction");
  assert.deepEqual(declared.emits, [Read]);
  assert.deepEqual(declared.options, { retry: ["1s"] });
  const bounds = {
    key: "scanId",
    shareMs: 5_000,
    concurrency: 8,
    rate: { limit: 5, perMs: 1_000 },
  };
  assert.deepEqual(declared.enrichment, bounds);
});

test("what is asked for is the field that is the full event's key, the one that is named, or nothing in the data", () => {
  const keyOf = (declared: ReturnType<typeof enrich>, data: unknown) =>
    declared.enrichment && askedFor(declared.enrichment, data);
  const data = { scanId: "s-1", href: "/s", version: 3 };
  assert.equal(keyOf(enrich(Uploaded, Read, ask), data), "s-1");
  assert.equal(keyOf(enrich(Uploaded, Read, { key: "href" }, ask), data), "/s");
  const Happened = event("a.happened", Type.Object({ pages: Type.Integer() }));
  assert.equal(keyOf(enrich(Uploaded, Happened, ask), data), undefined);
});

test("what cannot mean anything is refused at declaration", () => {
  const wrong: [object, RegExp][] = [
    [{ share: "2h" }, /share must be a duration of up to 1h/],
    [{ concurrency: 0 }, /concurrency must be a whole number from 1 to 256, got 0/],
    [{ rate: 5 }, /rate must be an object/],
    [{ rate: { limit: 1.5, per: "1s" } }, /rate.limit must be a whole number/],
    [{ rate: { limit: 1, per: "soon" } }, /rate.per must be a duration/],
    [{ key: "scanID" }, /got "scanID"; a.uploaded has none of that name/],
    [{ ordered: true }, /ordered is for on/],
    [{ emits: [Read] }, /emits is for on/],
    [{ deadline: "2h" }, /deadline must be a duration/],
  ];
  for (const [options, message] of wrong) {
    const declare = () => enrich(Uploaded, Read, options, ask);
    assert.throws(declare, (error) => {
      assert.ok(error instanceof EddyError);
      assert.equal(error.code, "EDDY_DECLARATION");
      assert.match(error.message, message);
      return true;
    });
  }
  assert.throws(
    () => Reflect.apply(enrich, undefined, [Uploaded, {}, ask]),
    /to must be the event/,
  );
  assert.throws(() => Reflect.apply(enrich, undefined, [Uploaded, Read, {}]), /function that asks/);
});
