import assert from "node:assert/strict";
import { test } from "node:test";
import { enrich, event, on, projection } from "../../authoring/index.ts";
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

test("D1: how a source is asked arrives on the other side, with the handler's own options", () => {
  const Told = event("a.told", Type.Object({ id: Type.String() }), { carries: "reference" });
  const Known = event("a.known", Type.Object({ id: Type.String() }));
  const rate = { limit: 3, per: "1m" } as const;
  const options = { key: "id", share: "2s", concurrency: 3, rate, retry: ["1s"] } as const;
  const look = enrich(Told, Known, options, ({ data }) => data);
  const { description } = describe({ file: { look } });
  const [back] = undescribe(structuredClone(description)).declarations;
  assert(back?.kind === "reaction");
  assert.deepEqual(back.enrichment, look.enrichment);
  assert.deepEqual(back.options, look.options);
});
