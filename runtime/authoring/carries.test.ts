import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { entityKeyOf, event } from "./index.ts";

const Customer = Type.Object({
  customerId: Type.String(),
  number: Type.Integer(),
  nickname: Type.Optional(Type.String()),
  gone: Type.Optional(Type.Boolean()),
  address: Type.Object({ city: Type.String() }),
});

const nonsense = (message: RegExp) => ({ code: "EDDY_DECLARATION", message });

test("an event is a fact unless it says otherwise, and keeps what it says", () => {
  assert.deepEqual(event("a", Customer).options, {});
  const state = event("a", Customer, {
    carries: "state",
    key: "number",
    deletion: { field: "gone" },
  });
  assert.deepEqual(state.options, { carries: "state", key: "number", deletion: { field: "gone" } });
  assert.deepEqual(event("a", Customer, { carries: "state" }).options, { carries: "state" });
});

test("C1: what cannot mean anything is refused, by the compiler and at declaration", () => {
  const refused = (declare: () => unknown, message: RegExp) =>
    assert.throws(declare, nonsense(message));
  // @ts-expect-error no such kind
  refused(() => event("a", Customer, { carries: "news" }), /^event\("a"\): carries .* got "news"$/);
  // @ts-expect-error no object
  refused(() => event("a", Customer, null), /options must be an object/);
  // @ts-expect-error a fact is nobody's state
  refused(() => event("a", Customer, { key: "number" }), /key is for .* "state", not "fact"/);
  const deletion = "never";
  // @ts-expect-error neither is a reference
  refused(() => event("a", Customer, { carries: "reference", deletion }), /not "reference"/);
});

test("C1: a key names a text or number of data that is always there", () => {
  const keyed = (key: unknown) => () =>
    event("a", Customer, { carries: "state", key: key as "number" });
  assert.throws(keyed("id"), nonsense(/key must name .* "id"; its schema has customerId, number,/));
  assert.throws(keyed("toString"), nonsense(/key must name a field/));
  assert.throws(
    keyed("address"),
    nonsense(/names address, which may be of type object, not string/),
  );
  assert.throws(keyed("gone"), nonsense(/of type boolean/));
  // @ts-expect-error no field
  assert.throws(() => event("a", Customer, { carries: "state", key: "id" }));
  // @ts-expect-error no text
  assert.throws(() => event("a", Customer, { carries: "state", key: "address" }));
  // @ts-expect-error not always there; only the compiler says so
  event("a", Customer, { carries: "state", key: "nickname" });
});

test("C1: a deletion is never, always or a boolean of data", () => {
  const deleted = (deletion: unknown) => () =>
    event("a", Customer, { carries: "state", deletion: deletion as "never" });
  for (const wrong of ["sometimes", null, true, {}]) {
    assert.throws(deleted(wrong), nonsense(/deletion must be "never", "always", \{ field/));
  }
  assert.throws(deleted({ field: "left" }), nonsense(/deletion\.field must name a field/));
  assert.throws(deleted({ field: "number" }), nonsense(/of type integer, not boolean/));
  const field = "number" as const;
  // @ts-expect-error no boolean
  assert.throws(() => event("a", Customer, { carries: "state", deletion: { field } }));
});

test("C1: a schema is asked in all its branches, and whoever has one that tells nothing is believed", () => {
  const key = "id" as const;
  const Id = Type.Object({ id: Type.String() });
  const Gone = Type.Object({ id: Type.String(), gone: Type.Literal(true) });
  event("a", Type.Intersect([Id, Customer]), { carries: "state", key });
  event("a", Type.Union([Id, Gone]), { carries: "state", key });
  event("a", Type.Record(Type.String(), Type.String()), { carries: "state", key });
  event("a", Type.Any(), { carries: "state", key, deletion: { field: "gone" } });
  event("a", Type.Unsafe<{ id: string }>({ type: "object" }), { carries: "state", key });
  const Named = Type.Object({ name: Type.String() });
  const either = Type.Union([Named, Customer]);
  // @ts-expect-error no branch has it
  assert.throws(() => event("a", either, { carries: "state", key }), nonsense(/"id"/));
  const both = Type.Intersect([Named, Customer]);
  // @ts-expect-error no part has it
  assert.throws(() => event("a", both, { carries: "state", key }), nonsense(/"id"/));
  const open = Type.Intersect([Named, Type.Record(Type.String(), Type.String())]);
  event("a", open, { carries: "state", key });
  // @ts-expect-error a text has no fields
  assert.throws(() => event("a", Type.String(), { carries: "state", key }), nonsense(/has none/));
});

test("the entity key is the text of the key's field, and only a state event has one", () => {
  const data = { customerId: "c-1", number: 7, address: { city: "Bern" } };
  const keyed = event("a", Customer, { carries: "state", key: "customerId" });
  assert.equal(entityKeyOf(keyed, data), "c-1");
  assert.equal(entityKeyOf(event("a", Customer, { carries: "state", key: "number" }), data), "7");
  assert.equal(entityKeyOf(event("a", Customer, { carries: "state" }), data), undefined);
  assert.equal(entityKeyOf(event("a", Customer), data), undefined);
});

test("no data, however strange, makes the key throw or take what is inherited", () => {
  const type = (field: string) => event("a", Type.Any(), { carries: "state", key: field });
  const field = fc.constantFrom("__proto__", "constructor", "toString", "length", "a");
  fc.assert(
    fc.property(field, fc.anything(), (name, data) => {
      const key = entityKeyOf(type(name), data);
      assert.ok(key === undefined || typeof key === "string");
    }),
  );
  assert.equal(entityKeyOf(type("constructor"), {}), undefined);
  assert.equal(entityKeyOf(type("a"), null), undefined);
});
