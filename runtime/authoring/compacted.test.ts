import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { areCompacted, deletes, isCompacted } from "./carries.ts";
import { event } from "./event-type.ts";
import { projection } from "./projection.ts";
import { on } from "./reaction.ts";

const Customer = Type.Object({ customerId: Type.String(), closed: Type.Boolean() });
const Left = event("com.acme.customer.left", Type.Object({ customerId: Type.String() }), {
  carries: "state",
  key: "customerId",
  deletion: "always",
});
const Changed = event("com.acme.customer.changed", Customer, {
  carries: "state",
  key: "customerId",
  deletion: { by: Left },
  stream: "STATE",
});
const Closable = event("com.acme.account.changed", Customer, {
  carries: "state",
  key: "customerId",
  deletion: { field: "closed" },
  stream: "STATE",
});
const Placed = event("com.acme.order.placed", Customer);

test("C2: what cannot be kept in the compacted home does not load, and is told what to do", () => {
  const declare = (options: object) => () => event("com.acme.x", Customer, options);
  const refused = (options: object, why: RegExp) =>
    assert.throws(declare(options), { code: "EDDY_DECLARATION", message: why });
  refused({ stream: "STATE" }, /stream is for an event that carries: "state", not "fact"/);
  refused(
    { carries: "reference", stream: "STATE" },
    /stream is for an event that carries: "state"/,
  );
  refused({ carries: "state", stream: "STATE" }, /add key/);
  const keyed = { carries: "state", key: "customerId" };
  refused({ ...keyed, stream: "OTHER" }, /stream must be "STATE".*got "OTHER"/);
  refused({ ...keyed, stream: "STATE", deletion: "always" }, /deletion: \{ by: … \}/);
  refused({ ...keyed, deletion: { by: undefined } }, /deletion.by must be an event type/);
  refused({ ...keyed, deletion: { by: Placed } }, /does not say of which entity/);
});

test("an entity is deleted by the other type, or by its field, and by nothing else", () => {
  const data = { customerId: "c", closed: true };
  assert.equal(deletes(Changed, { type: Left.type, data }), true);
  assert.equal(deletes(Changed, { type: Changed.type, data }), false);
  assert.equal(deletes(Closable, { type: Closable.type, data }), true);
  assert.equal(deletes(Closable, { type: Closable.type, data: { ...data, closed: false } }), false);
});

test("types are in the compacted home with the one that deletes them, and not without what they belong to", () => {
  assert.equal(isCompacted(Changed), true);
  assert.equal(isCompacted(Left), false);
  assert.equal(areCompacted([Changed, Left, Closable]), true);
  assert.equal(areCompacted([Left]), false);
  assert.equal(areCompacted([Changed, Placed]), false);
});

test('start: "state" is for a projection whose types are all in the compacted home', () => {
  const of = (from: (typeof Changed | typeof Placed)[]) => () =>
    projection("p", {
      from,
      start: "state",
      key: (e) => e.data.customerId,
      apply: (_, e) => e.data,
    });
  assert.doesNotThrow(of([Changed]));
  assert.throws(of([Changed, Placed]), { code: "EDDY_DECLARATION", message: /start: "state"/ });
  assert.throws(() => on(Changed, { start: "state" }, () => {}), {
    code: "EDDY_DECLARATION",
    message: /is for a projection/,
  });
});
