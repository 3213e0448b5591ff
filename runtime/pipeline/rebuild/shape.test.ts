import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, type Handler, on, type Projection, projection } from "../../authoring/index.ts";
import { shapeOf } from "./shape.ts";

const A = event("com.acme.a", Type.Object({ n: Type.Integer() }));
const B = event("com.acme.b", Type.Object({ n: Type.Integer() }));
const spec = { from: [A], key: () => "k", apply: () => ({ n: 1 }) };

function shape(declaration: Handler["declaration"], version = "v1"): string | undefined {
  return shapeOf({ name: "view", file: "view.ts", version, declaration });
}

test("a shape changes with what entries depend on, and with nothing else", () => {
  const state = Type.Object({ n: Type.Integer() });
  const where = { data: { n: [1] } };
  const changed: Projection[] = [
    projection("view", { ...spec, apply: () => ({ n: 2 }) }),
    projection("view", { ...spec, key: () => "l" }),
    projection("view", { ...spec, state }),
    projection("view", { ...spec, where }),
    projection("view", { ...spec, from: [A, B] }),
  ];
  const before = shape(projection("view", spec));
  const all = [before, ...changed.map((declaration) => shape(declaration))];
  assert.equal(new Set(all).size, all.length);
  const deadline = projection("view", { ...spec, deadline: "1s", rebuild: "auto" });
  assert.equal(shape(deadline, "v2"), before);
});

test("of functions in another thread there is no text: a new version of their module is a change", () => {
  const declaration = projection("view", spec);
  const remote = { run: never, key: never, apply: never };
  const at = (version: string) => ({ name: "view", file: "view.ts", version, declaration, remote });
  assert.notEqual(shapeOf(at("v1")), shapeOf(at("v2")));
});

test("a reaction has no entries, and no shape", () => {
  assert.equal(shape(on(A, {}, () => {})), undefined);
});

function never(): never {
  assert.fail("nothing runs");
}
