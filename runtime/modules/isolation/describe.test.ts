import assert from "node:assert/strict";
import { test } from "node:test";
import { event, on, projection } from "../../authoring/index.ts";
import { Type } from "../../index.ts";
import { describe, undescribe } from "./describe.ts";

test("D1: what an event carries arrives on the other side, of what is read and of what is emitted", () => {
  const Customer = Type.Object({ id: Type.String(), gone: Type.Boolean() });
  const deletion = { field: "gone" } as const;
  const Changed = event("a.changed", Customer, { carries: "state", key: "id", deletion });
  const Noted = event("a.noted", Customer, { carries: "reference" });
  const react = on(Changed, { emits: [Noted] }, () => {});
  const view = projection("view", {
    from: [Changed],
    key: ({ data }) => data.id,
    apply: () => null,
  });
  const { description } = describe({ file: { react, view } });
  const back = undescribe(structuredClone(description)).declarations.map((declaration) => {
    const emits = declaration.kind === "reaction" ? declaration.emits : [];
    return [...declaration.from, ...emits].map(({ options }) => options);
  });
  assert.deepEqual(back, [[Changed.options, Noted.options], [Changed.options]]);
});
