// What `eddy init` writes, by file name.

const tsconfig = `{
  // Made by \`eddy init\`, with the place of eddyline on this machine. After a clone, in the folder of eddyline: npx eddy init DIR
  "extends": "./.eddy/tsconfig.json",
  "include": ["**/*.ts"]
}
`;

const handler = `// Greets visitors, and counts how often each was here. Save a change while \`eddy dev\` runs: it is live.
import { event, on, projection, Type } from "eddyline";

const Visitor = Type.Object({ name: Type.String({ minLength: 1 }) });

export const VisitorArrived = event("com.example.visitor.arrived", Visitor);
export const VisitorGreeted = event(
  "com.example.visitor.greeted",
  Type.Object({ name: Type.String(), greeting: Type.String() }),
);

export const greet = on(VisitorArrived, { emits: [VisitorGreeted] }, (visitor, ctx) => {
  const { name } = visitor.data;
  ctx.emit(VisitorGreeted, { name, greeting: \`Hello, \${name}\` });
  ctx.log.info("greeted", { name });
});

export const visits = projection("visits", {
  from: [VisitorGreeted],
  state: Type.Object({ name: Type.String(), count: Type.Integer() }),
  key: (event) => event.data.name,
  apply: (state, event) => ({ name: event.data.name, count: (state?.count ?? 0) + 1 }),
});
`;

const test = `import assert from "node:assert/strict";
import { test } from "node:test";
import { harness } from "eddyline/testing";
import * as greetings from "./greetings.ts";

const { VisitorArrived, VisitorGreeted, visits } = greetings;

test("a visitor is greeted", async () => {
  const run = harness(greetings);
  await run.publish(VisitorArrived, { name: "Ada" });
  const [greeted] = run.emitted(VisitorGreeted);
  assert.equal(greeted?.data.greeting, "Hello, Ada");
});

test("the same event twice counts once", async () => {
  const run = harness(greetings);
  await run.publish(VisitorArrived, { name: "Ada" }, { id: "visit-1" });
  await run.publish(VisitorArrived, { name: "Ada" }, { id: "visit-1" });
  assert.deepEqual(run.entry(visits, "Ada"), { name: "Ada", count: 1 });
});
`;

export const initFiles: Readonly<Record<string, string>> = {
  "tsconfig.json": tsconfig,
  ".gitignore": ".eddy/\nnode_modules/\n",
  "greetings.ts": handler,
  "greetings.test.ts": test,
};
