import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { tokenCharsMax } from "../events/index.ts";
import {
  type Conditions,
  type Context,
  event,
  type IndexOf,
  type Projection,
  projection,
} from "./index.ts";
import { hasMarks, indexIn, markOf, marksOf } from "./indexes.ts";

const Moved = event(
  "com.acme.moved",
  Type.Object({ who: Type.String(), city: Type.String(), tags: Type.Array(Type.String()) }),
);
const base = { from: [Moved], key: () => "k", apply: () => null };
const indexed = (indexes: Record<string, IndexOf<Record<string, unknown>>>): Projection =>
  projection("p", { ...base, state: Type.Any(), indexes });

test("types flow from the state to an index, and from the declared indexes to what is asked", () => {
  const customers = projection("customers", {
    from: [Moved],
    key: (e) => e.data.who,
    apply: (_, e) => e.data,
    indexes: { city: (state) => state.city, tag: (state) => state.tags },
  });
  const strict = projection("strict", {
    ...base,
    state: Type.Object({ age: Type.Integer() }),
    indexes: { adult: ({ age }) => age >= 18 },
  });
  const plain = projection("plain", base);
  const good: Conditions<typeof customers> = { city: "Bern", tag: 7 };
  // @ts-expect-error: no such index
  const town: Conditions<typeof customers> = { town: "Bern" };
  // @ts-expect-error: none at all
  const none: Conditions<typeof plain> = { city: "Bern" };
  const ask = async (ctx: Context) => {
    const { entries } = await ctx.find(strict, { adult: true }, { limit: 1 });
    const age: number | undefined = entries[0]?.value.age;
    // @ts-expect-error: no such index
    await ctx.find(customers, { town: "Bern" });
    return age;
  };
  projection("p", {
    ...base,
    state: Type.Object({ age: Type.Integer() }),
    // @ts-expect-error: no such field of the state
    indexes: { city: (state) => state.city },
  });
  assert.ok(good && town && none && ask);
  assert.deepEqual([customers.indexes, plain.indexes], [["city", "tag"], []]);
});

test("nonsense is refused at the declaration", () => {
  const of = () => "x";
  const nine = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`i${n}`, of]));
  for (const indexes of [[of], "city", null, { "a.b": of }, { "": of }, { city: "x" }, nine]) {
    const spec = { ...base, indexes } as never;
    assert.throws(() => projection("p", spec), { code: "EDDY_DECLARATION" });
  }
});

test("I1: marks name every index, with its values or without", () => {
  const found: Record<string, unknown> = {
    ...{ text: "Bern", none: undefined, empty: "", nil: null, list: ["b", "a", "b", 7, false] },
    ...{ zero: 0, nothing: [] },
  };
  const names = Object.keys(found);
  const of = Object.fromEntries(names.map((name) => [name, () => found[name] as string]));
  const marks = marksOf(indexed(of), {});
  assert.equal(
    marks,
    "text:Bern none: empty:= nil: list:b list:a list:7 list:false zero:0 nothing:",
  );
  assert.deepEqual([...new Set(marks.split(" ").map(indexIn))], names);
  assert.equal(hasMarks(marks, [markOf("list", "7"), markOf("zero", 0)]), true);
  for (const mark of ["none:=", "text:Ber", "ext:Bern", "list:b list"])
    assert.equal(hasMarks(marks, [mark]), false, mark);
});

test("what can be no value is permanent, and what an index throws is thrown", () => {
  const foreign = [{}, () => 1, Symbol("s"), 1n, Promise.resolve("x"), [null], [["x"]], new Date()];
  for (const value of foreign) {
    assert.throws(() => marksOf(indexed({ city: () => value as never }), {}), {
      name: "Permanent",
      message: /index city gave .*The entry is unchanged/,
    });
  }
  const many = Array.from({ length: 65 }, (_, n) => n);
  assert.throws(() => marksOf(indexed({ city: () => many }), {}), /more than 64 values/);
  assert.equal(marksOf(indexed({ city: () => many.slice(1) }), {}).split(" ").length, 64);
  const error = new Error("not yet");
  const throws = indexed({
    city: () => {
      throw error;
    },
  });
  assert.throws(() => marksOf(throws, {}), error);
});

test("I2: whatever values hold, marks are legal header text of bounded length, and found by their own value only", () => {
  const hostile = [
    "a b",
    "*",
    ">",
    "a.b",
    "\r\nNats-Rollup: all",
    "😀",
    "é",
    "x".repeat(10_000),
    ":",
  ];
  const text = fc.oneof(
    fc.constantFrom(...hostile),
    fc.string({ unit: "binary" }),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 8 }), text, (values, asked) => {
      const marks = marksOf(indexed({ city: () => values, other: () => asked }), {});
      assert.match(marks, /^[A-Za-z0-9_=: -]*$/);
      for (const mark of marks.split(" "))
        assert.ok(mark.length <= "other:".length + tokenCharsMax);
      assert.equal(hasMarks(marks, [markOf("city", asked)]), values.includes(asked));
    }),
  );
});
