// The examples are those of EventBridge's and event-ruler's documentation, in our shape.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CloudEvent } from "../events/index.ts";
import { compileWhere, leavesOut } from "./matcher.ts";
import { checkWhere, type Where } from "./where.ts";

const base: CloudEvent = {
  specversion: "1.0",
  id: "e-1",
  source: "/shops/7",
  type: "com.acme.order.placed",
  extensions: { tenant: "acme", priority: 3, trial: true },
  data: undefined,
};
const asks = (where: Where) => {
  checkWhere("test", where);
  const matches = compileWhere(where);
  return (data: unknown, more: Partial<CloudEvent> = {}) => matches({ ...base, ...more, data });
};
const field = (...alternatives: unknown[]) => asks({ data: { x: alternatives as never } });

test("attributes are looked at by their name, extensions too, and data that is no object as it is", () => {
  const subject = "s";
  const table: [Where, boolean][] = [
    [{ source: [{ prefix: "/shops/" }] }, true],
    [{ source: [{ prefix: "/shop/" }] }, false],
    [{ id: ["e-2", "e-1"], type: [{ suffix: ".placed" }] }, true],
    [{ id: ["e-1"], type: [{ suffix: ".paid" }] }, false],
    [{ subject: [{ exists: true }], specversion: ["1.0"] }, true],
    [{ time: [{ exists: true }] }, false],
    [{ time: [{ exists: false }], dataschema: [{ exists: false }] }, true],
    [{ tenant: ["acme"], priority: [{ numeric: [">", 2] }], trial: [true] }, true],
    [{ tenant: ["Acme"] }, false],
    [{ nobody: [{ exists: false }] }, true],
    [{ nobody: [{ "anything-but": "x" }] }, false],
    [{ extensions: [{ exists: true }] }, false],
    [{ constructor: [{ exists: true }] }, false],
    [{ data: ["plain"] }, true],
    [{ data: { x: [{ exists: false }] } }, true],
  ];
  for (const [where, expected] of table)
    assert.equal(asks(where)("plain", { subject }), expected, JSON.stringify(where));
});

test("values: by kind, numbers by value, texts by character, null only where it stands", () => {
  const table: [unknown, unknown, boolean][] = [
    ["running", "running", true],
    ["running", "Running", false],
    ["é", "e\u0301", false],
    ["", "", true],
    [300, 3e2, true],
    [0, -0, true],
    [1, "1", false],
    ["true", true, false],
    [false, false, true],
    [null, null, true],
    [null, "null", false],
    [null, undefined, false],
    [{ prefix: "2017-10-02" }, "2017-10-02T18:43:48Z", true],
    [{ prefix: "1" }, 10, false],
    [{ suffix: ".png" }, "a.png", true],
    [{ suffix: ".png" }, "a.PNG", false],
    [{ "anything-but": "initializing" }, "running", true],
    [{ "anything-but": "initializing" }, "initializing", false],
    [{ "anything-but": "initializing" }, null, true],
    [{ "anything-but": "initializing" }, undefined, false],
    [{ "anything-but": "initializing" }, {}, false],
    [{ "anything-but": 123 }, 123.0, false],
    [{ "anything-but": [100, 200, 300] }, 101, true],
    [{ "anything-but": ["stopped", "overloaded"] }, "overloaded", false],
    [{ "anything-but": { prefix: "init" } }, "initializing", false],
    [{ "anything-but": { prefix: "init" } }, "running", true],
    [{ "anything-but": { prefix: "init" } }, 7, true],
    [{ "anything-but": { suffix: ".png" } }, "a.png", false],
    [{ numeric: [">", 0, "<=", 5] }, 5, true],
    [{ numeric: [">", 0, "<=", 5] }, 0, false],
    [{ numeric: [">=", 0, "<", 5] }, 0, true],
    [{ numeric: [">=", 0, "<", 5] }, 5, false],
    [{ numeric: ["<", 10] }, -1e300, true],
    [{ numeric: ["<=", 10] }, 10.000001, false],
    [{ numeric: ["=", 3.018e2] }, 301.8, true],
    [{ numeric: ["<", 10] }, "5", false],
    [{ numeric: ["<", 10] }, null, false],
    [{ exists: true }, null, true],
    [{ exists: true }, "", true],
    [{ exists: true }, undefined, false],
    [{ exists: true }, { c1: 100 }, false],
    [{ exists: true }, [], false],
    [{ exists: true }, new Uint8Array(1), true],
    [{ exists: true }, new Date(0), true],
    [{ exists: false }, undefined, true],
    [{ exists: false }, null, false],
    [{ exists: false }, { c1: 100 }, true],
    [{ exists: false }, [], true],
    [{ exists: false }, [{}], true],
    [{ exists: false }, ["a"], false],
  ];
  for (const [alternative, x, expected] of table)
    assert.equal(field(alternative)({ x }), expected, JSON.stringify([alternative, x]));
  assert.equal(field({ exists: false })({}), true);
  assert.equal(field({ exists: false })(undefined), true);
  assert.equal(field("a", { numeric: ["<", 1] }, { exists: false })({ x: -1 }), true);
  assert.equal(field("a", { numeric: ["<", 1] }, { exists: false })({ x: "b" }), false);
});

test("M2: an array fits where one of its elements does; anything-but needs one other element, not all", () => {
  assert.equal(field("b")({ x: ["a", "b"] }), true);
  assert.equal(field("b")({ x: [["a"], [["b"]]] }), true);
  assert.equal(field("b")({ x: ["a", "c"] }), false);
  assert.equal(field({ "anything-but": "a" })({ x: ["a", "b"] }), true);
  assert.equal(field({ "anything-but": "a" })({ x: ["a", "a"] }), false);
  assert.equal(field({ "anything-but": "a" })({ x: [] }), false);
});

test("M2, M3: fields below an array are those of one element; what must not be there, nowhere or not in that one", () => {
  const employees = [
    { firstName: "Anna", lastName: "Doe", ids: ["1", "2"] },
    { firstName: "John", lastName: "Smith", boss: true },
  ];
  const table: [Where["data"], boolean][] = [
    [{ staff: { firstName: ["Anna"], lastName: ["Doe"] } }, true],
    [{ staff: { firstName: ["Anna"], lastName: ["Smith"] } }, false],
    [{ staff: { firstName: ["Anna"], ids: ["2"] } }, true],
    [{ staff: { firstName: ["John"], ids: ["2"] } }, false],
    [{ staff: { firstName: ["Anna"], boss: [{ exists: false }] } }, true],
    [{ staff: { boss: [{ exists: false }], firstName: ["John"] } }, false],
    [{ staff: { boss: [{ exists: false }] } }, false],
    [{ staff: { age: [{ exists: false }] } }, true],
    [{ staff: { age: [{ exists: false }], name: { last: [{ exists: false }] } } }, true],
    [{ staff: { age: [{ exists: true }] } }, false],
    [{ staff: [{ exists: false }] }, true],
    [{ none: { age: [{ exists: false }] } }, true],
    [{ none: { age: ["x"] } }, false],
  ];
  for (const [data, expected] of table) {
    const where = { data } as Where;
    assert.equal(asks(where)({ staff: employees, none: [] }), expected, JSON.stringify(data));
    assert.equal(asks(where)({ staff: [employees], none: [] }), expected, JSON.stringify(data));
  }
});

test("M4: only own properties count, and arrays in arrays end where an event would", () => {
  for (const name of ["toString", "constructor", "hasOwnProperty", "length", "__proto__"]) {
    const own = asks({ data: JSON.parse(`{"${name}":[{"exists":true}]}`) });
    assert.equal(own({}), false, name);
    assert.equal(own(new Uint8Array(3)), false, name);
    assert.equal(own("text"), false, name);
    assert.equal(own(JSON.parse(`{"${name}":1}`)), true, name);
  }
  let deep: unknown = "b";
  for (let level = 0; level < 100_000; level++) deep = [deep];
  assert.equal(field("b")({ x: deep }), false);
});

test("what a declaration does not read is not left out by its where", () => {
  const matches = compileWhere({ id: ["other"] });
  assert.equal(leavesOut({ matches, from: [{ type: base.type }] }, base), true);
  assert.equal(leavesOut({ matches, from: [{ type: "x" }] }, base), false);
  assert.equal(leavesOut({ matches: undefined, from: [{ type: base.type }] }, base), false);
});

// The reference works as event-ruler does: the event is flattened to (path, value, which elements of which arrays it is
// in); all choices of one value for each field are tried, and those that stand in different elements are thrown away.
interface Leaf {
  readonly path: string;
  readonly value: unknown;
  readonly elements: Readonly<Record<string, number>>;
}

function flatten(value: unknown, path: string, at: string, elements: Leaf["elements"]): Leaf[] {
  if (Array.isArray(value))
    return value.flatMap((one, n) => flatten(one, path, `${at}[${n}]`, { ...elements, [at]: n }));
  if (typeof value !== "object" || value === null) return [{ path, value, elements }];
  return Object.entries(value).flatMap(([name, below]) =>
    flatten(below, `${path}/${name}`, `${at}/${name}`, elements),
  );
}

function leavesOf(pattern: unknown, path: string): { path: string; any: unknown[] }[] {
  if (Array.isArray(pattern)) return [{ path, any: pattern }];
  return Object.entries(pattern ?? {}).flatMap(([name, below]) =>
    leavesOf(below, `${path}/${name}`),
  );
}

const isConsistent = (a: Leaf["elements"], b: Leaf["elements"]) =>
  Object.entries(a).every(([at, n]) => (b[at] ?? n) === n);

function fitsOne(alternative: unknown, value: unknown): boolean {
  if (typeof alternative !== "object" || alternative === null) return alternative === value;
  if ("exists" in alternative) return alternative.exists === true;
  if ("prefix" in alternative)
    return String(value).indexOf(String(alternative.prefix)) === 0 && typeof value === "string";
  if ("numeric" in alternative) {
    const [, low, , high] = alternative.numeric as [string, number, string, number];
    return typeof value === "number" && value >= low && value < high;
  }
  assert.ok("anything-but" in alternative);
  return ![alternative["anything-but"]].flat().includes(value);
}

function reference(pattern: unknown, data: unknown): boolean {
  const leaves = flatten(data, "", "", {});
  const choose = (
    fields: ReturnType<typeof leavesOf>,
    chosen: Leaf["elements"],
    absent: string[],
  ): boolean => {
    const [field, ...rest] = fields;
    if (field === undefined)
      return absent.every(
        (path) => !leaves.some((l) => l.path === path && isConsistent(l.elements, chosen)),
      );
    const may = leaves.filter(
      (l) =>
        l.path === field.path &&
        isConsistent(l.elements, chosen) &&
        field.any.some((one) => fitsOne(one, l.value)),
    );
    if (may.some((l) => choose(rest, { ...chosen, ...l.elements }, absent))) return true;
    const isAskedFor = field.any.some((one) => JSON.stringify(one) === '{"exists":false}');
    return isAskedFor && choose(rest, chosen, [...absent, field.path]);
  };
  return choose(leavesOf(pattern, ""), {}, []);
}

const names = fc.constantFrom("a", "b", "c");
const scalars = fc.constantFrom("x", "xy", "", 0, 1, 2, true, null);
const { value: values } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, scalars, tie("list"), tie("object")),
  list: fc.array(tie("value"), { maxLength: 3 }),
  object: fc.dictionary(names, tie("value"), { maxKeys: 3, noNullPrototype: true }),
}));
const alternatives = fc.array(
  fc.oneof(
    scalars,
    fc.constant({ exists: true }),
    { arbitrary: fc.constant({ exists: false }), weight: 3 },
    fc.constant({ prefix: "x" }),
    fc.constant({ numeric: [">=", 0, "<", 2] }),
    fc.constant({ "anything-but": ["x", 1] }),
  ),
  { minLength: 1, maxLength: 2 },
);
const { fields } = fc.letrec((tie) => ({
  pattern: fc.oneof({ maxDepth: 3 }, alternatives, tie("fields")),
  fields: fc.dictionary(names, tie("pattern"), { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
}));

test("M1 to M3: the compiled matcher says what a slow search over all choices says", () => {
  fc.assert(
    fc.property(fields, values, (pattern, data) => {
      assert.equal(asks({ data: pattern as never })(data), reference(pattern, data));
    }),
    { numRuns: 3_000 },
  );
});

test("M4: it never throws, whatever data is", () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withTypedArray: true,
    withSparseArray: true,
  });
  fc.assert(
    fc.property(fields, fc.oneof(anything, fc.dictionary(names, anything)), (pattern, data) => {
      assert.equal(typeof asks({ data: pattern as never })(data), "boolean");
    }),
  );
});
