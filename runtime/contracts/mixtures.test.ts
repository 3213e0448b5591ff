import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { type TSchema, Type } from "typebox";
import { type Declaration, type EventType, event, on, projection } from "../authoring/index.ts";
import { mixturesIn } from "./mixtures.ts";

const handler = (declaration: Declaration, file = "a.ts") => ({
  name: file,
  file,
  version: "0",
  declaration,
});
const reading = (type: EventType, file?: string) =>
  handler(
    on(type, () => {}),
    file,
  );
const folding = (from: readonly EventType[], file?: string) =>
  handler(projection("view", { from, key: () => "k", apply: () => null }), file);
const codesIn = (...handlers: Parameters<typeof mixturesIn>[0][number][]) =>
  mixturesIn(handlers).map(({ code }) => code);
const messageOf = (type: EventType) => mixturesIn([reading(type)])[0]?.message ?? "";

const reference = (schema: TSchema) => event("a.shipped", schema, { carries: "reference" });
const scalars = (count: number) =>
  Type.Object(
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`f${n}`, Type.String()])),
  );
const Customer = Type.Object({ id: Type.String(), gone: Type.Boolean() });

test("a reference with more than some plain fields is fat, and they are named", () => {
  assert.deepEqual(codesIn(reading(reference(scalars(4)))), []);
  assert.deepEqual(codesIn(reading(reference(scalars(5)))), ["EDDY_EVENT_FAT_REFERENCE"]);
  assert.match(messageOf(reference(scalars(5))), /5 fields \(f0, f1, f2, f3, f4\)/);
  assert.deepEqual(codesIn(reading(event("a.shipped", scalars(9)))), []);
});

test("a reference with an object or a list in it is fat, also an optional, nullable or mixed-in one", () => {
  const Id = Type.Object({ id: Type.String() });
  const fat = [
    Type.Object({ id: Type.String(), nested: Id }),
    Type.Object({ nested: Type.Array(Type.String()) }),
    Type.Object({ nested: Type.Tuple([Type.String()]) }),
    Type.Object({ nested: Type.Record(Type.String(), Type.String()) }),
    Type.Object({ nested: Type.Optional(Type.Union([Id, Type.Null()])) }),
    Type.Intersect([Id, Type.Object({ nested: Id })]),
    Type.Union([Id, Type.Object({ nested: Id })]),
  ];
  for (const schema of fat)
    assert.match(messageOf(reference(schema)), /objects or lists \(nested\)/);
});

test("a reference whose schema does not tell its fields is left alone", () => {
  const plain = Type.Object({
    id: Type.Union([Type.String(), Type.Null()]),
    kind: Type.Enum(["a", "b"]),
    href: Type.Any(),
  });
  const untold = [Type.Any(), Type.Record(Type.String(), Type.String()), Type.Ref("x"), plain];
  for (const schema of untold) assert.deepEqual(codesIn(reading(reference(schema))), []);
});

test("state without a key or a deletion is told of each, and state with both is fine", () => {
  const state = (options: object) => event("a.changed", Customer, { carries: "state", ...options });
  const keyless = "EDDY_EVENT_STATE_KEYLESS";
  const undeletable = "EDDY_EVENT_STATE_UNDELETABLE";
  assert.deepEqual(codesIn(reading(state({}))), [keyless, undeletable]);
  assert.deepEqual(codesIn(reading(state({ key: "id" }))), [undeletable]);
  assert.deepEqual(codesIn(reading(state({ deletion: "never" }))), [keyless]);
  for (const deletion of ["never", "always", { field: "gone" }]) {
    assert.deepEqual(codesIn(reading(state({ key: "id", deletion }))), []);
  }
});

test("a projection that folds references is told once with all of them; a reaction may read them", () => {
  const thin = ["a.left", "a.moved"].map((type) =>
    event(type, scalars(2), { carries: "reference" }),
  );
  const fact = event("a.placed", scalars(2));
  assert.deepEqual(codesIn(folding([fact]), ...thin.map((type) => reading(type))), []);
  const [mixture, ...more] = mixturesIn([folding([fact, ...thin], "view.ts")]);
  assert.deepEqual(more, []);
  assert.equal(mixture?.code, "EDDY_PROJECTION_OF_REFERENCES");
  assert.match(mixture.message, /projection view folds references \(a\.left, a\.moved\)/);
});

test("an event that is worded as a command is found, also where it is only emitted", () => {
  const Send = event("com.acme.send.email", Customer);
  const emitting = handler(on(event("a.placed", Customer), { emits: [Send] }, () => {}));
  assert.deepEqual(codesIn(emitting), ["EDDY_EVENT_IS_COMMAND"]);
  assert.match(messageOf(Send), /"send\.email" tells somebody to do something/);
});

test("M1: what several handlers share is told once, with the file of the first", () => {
  const create = () => event("a.order.create", Customer); // each module has a copy of its own
  const found = mixturesIn([
    reading(create(), "b.ts"),
    folding([create()], "c.ts"),
    reading(create()),
  ]);
  assert.deepEqual(
    found.map(({ code, file }) => [code, file]),
    [["EDDY_EVENT_IS_COMMAND", "b.ts"]],
  );
});

test("facts in the past tense are never found, whatever they carry", () => {
  const field = fc.constantFrom<TSchema>(
    ...[Type.String(), Type.Array(Type.Any()), Customer, Type.Any(), Type.Null()],
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), field), (fields) => {
      const type = event("com.acme.order.placed", Type.Object(fields));
      assert.deepEqual(codesIn(reading(type), folding([type])), []);
    }),
  );
});

test("every message ends with the section of docs/events.md that explains it", () => {
  const page = readFileSync(new URL("../../docs/events.md", import.meta.url), "utf8");
  const sections = [...page.matchAll(/^### `?(EDDY_[A-Z_]+)`?$/gm)].map(([, code]) => code);
  const Thin = event("a.send", scalars(5), { carries: "reference" });
  const State = event("a.changed", Customer, { carries: "state" });
  const found = mixturesIn([folding([Thin, State])]);
  for (const { code, message } of found) {
    assert.ok(message.endsWith(`. See docs/events.md#${code.toLowerCase()}`));
  }
  assert.deepEqual(found.map(({ code }) => code).sort(), sections.toSorted());
});
