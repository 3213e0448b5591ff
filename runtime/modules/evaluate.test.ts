import assert from "node:assert/strict";
import { test } from "node:test";
import { EddyError } from "../events/index.ts";
import { type Compiled, compileModule } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import { testFolder } from "./support/folder.ts";

async function compiled(text: string): Promise<Compiled> {
  await using folder = await testFolder({ "a.ts": text });
  const path = `${folder.path}/a.ts`;
  return await compileModule(folder.path, { name: "a.ts", path, files: [path] });
}

test("E2: a loop without end at the top level is stopped and named", async () => {
  const endless = await compiled("for (;;) {}");
  assert.throws(
    () => evaluate(endless, 50),
    (error) =>
      error instanceof EddyError &&
      error.code === "EDDY_HANDLER_ENDLESS" &&
      /^loading a\.ts took longer than 0\.05 s/.test(error.message),
  );
  assert.deepEqual(Object.keys(evaluate(await compiled("export const x = 1;"))), ["m0"]);
});

test("a handler cannot import what is for tests", async () => {
  const module = await compiled(`import * as t from "eddyline/testing"; export const x = t;`);
  assert.throws(() => evaluate(module), { code: "EDDY_DECLARATION" });
});

test("modules share the runtime's classes, so that instanceof holds", async () => {
  const module = await compiled(
    `import { Permanent } from "eddyline"; export const e = new Permanent("x"); export const o = {};`,
  );
  const { m0 } = evaluate(module);
  const { Permanent } = await import("../index.ts");
  assert(typeof m0 === "object" && m0 !== null && "e" in m0 && "o" in m0);
  assert(m0.e instanceof Permanent && m0.e instanceof Error && m0.o instanceof Object);
});
