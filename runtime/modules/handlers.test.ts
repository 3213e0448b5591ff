import assert from "node:assert/strict";
import { test } from "node:test";
import { event, type Handler, on } from "../authoring/index.ts";
import { Type } from "../index.ts";
import { settleNames } from "./handlers.ts";

const declaration = on(event("a", Type.Object({})), () => {});

function modules(spec: Readonly<Record<string, string>>): Map<string, Handler[]> {
  const handler = (file: string) => (name: string) => ({ name, file, version: "0", declaration });
  return new Map(Object.entries(spec).map(([m, names]) => [m, [...names].map(handler(m))]));
}

function settled(running: Record<string, string>, candidates: Record<string, string>) {
  const { accepted, refused } = settleNames(modules(running), modules(candidates));
  return { accepted: [...accepted], refused: [...refused.keys()] };
}

test("N2: a name stays with the module that runs with it", () => {
  assert.deepEqual(settled({ b: "x" }, { a: "x" }), { accepted: [], refused: ["a"] });
  assert.deepEqual(settled({ b: "x" }, { a: "x", b: "xy" }), { accepted: ["b"], refused: ["a"] });
});

test("N2: of two new modules the first gets the name", () => {
  assert.deepEqual(settled({}, { a: "x", b: "x" }), { accepted: ["a"], refused: ["b"] });
});

test("N2: names may move and be exchanged between modules in one step", () => {
  assert.deepEqual(settled({ b: "xy" }, { a: "x", b: "y" }).refused, []);
  assert.deepEqual(settled({ a: "x", b: "y" }, { a: "y", b: "x" }).refused, []);
});

test("N2: a refusal that brings a running version back refuses whoever counted on its going", () => {
  // c wants z, which d has; so c stays with y, and b cannot have y, and a cannot have x.
  const running = { a: "w", b: "x", c: "y", d: "z" };
  const { accepted, refused } = settled(running, { a: "x", b: "y", c: "z" });
  assert.deepEqual(accepted, []);
  assert.deepEqual(refused.sort(), ["a", "b", "c"]);
});
