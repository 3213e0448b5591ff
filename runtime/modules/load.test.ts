import assert from "node:assert/strict";
import { chmod, mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { loadModules } from "./index.ts";
import { projectionNamed, reaction, testFolder } from "./support/folder.ts";

test("files and folders of the handlers folder are modules, helpers and tests of theirs are not", async () => {
  await using folder = await testFolder({
    "audit.ts": reaction(1),
    "plain.mjs": reaction(1).replace(" as never", ""),
    "orders/credit.ts": reaction(1),
    "orders/deep/stock.cts": reaction(1),
    "orders/credit.test.ts": "throw new Error('not loaded')",
    "orders/types.d.ts": "declare const x: 1;",
    "orders/_draft.ts": "throw new Error('not loaded')",
    "orders/node_modules/p/index.js": "throw new Error('not loaded')",
    ".hidden.ts": "throw new Error('not loaded')",
    "_off.ts": "throw new Error('not loaded')",
    "tsconfig.json": "{}",
    "package.json": "{}",
    "notes/readme.md": "# nothing here",
  });
  const { handlers, failures } = await loadModules(folder.path);
  assert.deepEqual(failures, []);
  assert.deepEqual(
    handlers.map(({ name, file }) => [name, file]),
    [
      ["audit.react", "audit.ts"],
      ["orders/credit.react", "orders/credit.ts"],
      ["orders/deep/stock.react", "orders/deep/stock.cts"],
      ["plain.react", "plain.mjs"],
    ],
  );
  assert.match(handlers[0]?.version ?? "", /^[0-9a-f]{8}$/);
});

test("a default export has the file's name, a projection its own", async () => {
  await using folder = await testFolder({
    "a.ts": reaction(1).replace("export const react =", "export default"),
    "b.ts": projectionNamed("customers"),
  });
  const { handlers } = await loadModules(folder.path);
  assert.deepEqual(
    handlers.map(({ name }) => name),
    ["a", "customers"],
  );
});

test("N1: what several files of a folder export is one handler, of the file that declares it", async () => {
  await using folder = await testFolder({
    "orders/alpha.ts": `export { react as again } from "./zeta.ts";`,
    "orders/index.ts": `export * from "./zeta.ts"; export * from "./alpha.ts";`,
    "orders/zeta.ts": `${reaction(1)}; export default react;`,
  });
  const { handlers } = await loadModules(folder.path);
  assert.deepEqual(
    handlers.map(({ name, file }) => [name, file]),
    [["orders/zeta.react", "orders/zeta.ts"]],
  );
});

test("a folder outside the repo imports eddyline, typebox, packages of its own, node's and JSON", async () => {
  await using folder = await testFolder({
    "data.json": `{ "n": 7 }`,
    "node_modules/own/package.json": `{ "name": "own", "main": "index.js" }`,
    "node_modules/own/index.js": `module.exports = { own: 1 };`,
    "all.ts": `
      import { existsSync } from "node:fs";
      import { event, on } from "eddyline";
      import { Type } from "typebox";
      import { own } from "own";
      import data from "./data.json";
      const here = new URL("./data.json", import.meta.url);
      if (!existsSync(here) || own !== 1 || data.n !== 7) throw new Error("wrong");
      export const react = on(event("com.acme.a", Type.Object({})), async () => {
        const { join } = await import("node:path");
        return join("x", "y") as never;
      });`,
  });
  const { handlers, failures } = await loadModules(folder.path);
  assert.deepEqual(failures, []);
  const [handler] = handlers;
  assert(handler?.declaration.kind === "reaction");
  assert.equal(await Reflect.apply(handler.declaration.run, undefined, []), "x/y");
});

test("C1: a version depends on what the code does, not on where it lies or how it is laid out", async () => {
  const versionOf = async (text: string) => {
    await using folder = await testFolder({ "m/a.ts": text, "m/node_modules/p/index.js": "" });
    return (await loadModules(folder.path)).handlers[0]?.version;
  };
  const first = await versionOf(reaction(1));
  assert.equal(await versionOf(`// a comment\n${reaction(1)}`), first);
  assert.notEqual(await versionOf(reaction(2)), first);
});

test("a syntax error is shown with file, line, column and code frame, and harms no other module", async () => {
  await using folder = await testFolder({
    "bad.ts": `const ok = 1;\nconst é = ;\n`,
    "good.ts": reaction(1),
  });
  const { handlers, failures } = await loadModules(folder.path);
  assert.equal(handlers.length, 1);
  const [failure] = failures;
  assert.equal(failures.length, 1);
  assert.equal(failure?.code, "EDDY_HANDLER_COMPILE");
  assert.equal(failure?.file, join(folder.path, "bad.ts"));
  assert.deepEqual([failure?.line, failure?.column], [2, 11]);
  assert.match(failure?.frame ?? "", /bad\.ts:2:\d+:\n.*2 │ const é = ;/);
});

test("an import that leads nowhere is shown where it stands", async () => {
  await using folder = await testFolder({ "a/b.ts": `import "./gone.ts";` });
  const [failure] = (await loadModules(folder.path)).failures;
  assert.match(failure?.message ?? "", /Could not resolve ".\/gone.ts"/);
  assert.deepEqual([failure?.file, failure?.line], [join(folder.path, "a/b.ts"), 1]);
});

test("what a module throws while loading is shown at its source position", async () => {
  await using folder = await testFolder({
    "a.ts": `interface Long { a: 1 }\n\nfunction f(): never {\n  throw new TypeError("no luck");\n}\nf();`,
    "b.ts": `throw "just text";`,
  });
  const [a, b] = (await loadModules(folder.path)).failures;
  assert.equal(a?.code, "EDDY_HANDLER_LOAD");
  assert.match(a?.message ?? "", /TypeError: no luck/);
  assert.deepEqual([a?.file, a?.line, a?.column], [join(folder.path, "a.ts"), 4, 9]);
  assert.match(a?.frame ?? "", /4 │ {3}throw new TypeError/);
  assert.equal(b?.file, join(folder.path, "b.ts"));
  assert.match(b?.message ?? "", /"just text"/);
});

test("a declaration that means nothing is shown at the call that made it", async () => {
  await using folder = await testFolder({
    "a.ts": `import { event, on, Type } from "eddyline";\n\nexport const A = event("a..b", Type.Object({}));\n`,
  });
  const [failure] = (await loadModules(folder.path)).failures;
  assert.equal(failure?.code, "EDDY_DECLARATION");
  assert.deepEqual([failure?.file, failure?.line], [join(folder.path, "a.ts"), 3]);
});

test("top-level await is refused with what to do instead", async () => {
  await using folder = await testFolder({ "a.ts": `export const x = await fetch("http://x");` });
  const [failure] = (await loadModules(folder.path)).failures;
  assert.equal(failure?.code, "EDDY_HANDLER_COMPILE");
  assert.match(failure?.message ?? "", /^Top-level await is not supported.* Await inside/);
  assert.equal(failure?.line, 1);
});

test("two handlers of one name: of two modules the second fails, inside a module the whole of it", async () => {
  await using folder = await testFolder({
    "a.ts": projectionNamed("customers"),
    "b.ts": projectionNamed("customers"),
    "c/one.ts": projectionNamed("orders"),
    "c/two.ts": projectionNamed("orders"),
  });
  const { handlers, failures } = await loadModules(folder.path);
  assert.deepEqual(
    handlers.map(({ name, file }) => [name, file]),
    [["customers", "a.ts"]],
  );
  assert.deepEqual(
    failures.map(({ module, code }) => [module, code]),
    [
      ["b.ts", "EDDY_HANDLER_NAME_TAKEN"],
      ["c", "EDDY_HANDLER_NAME_TAKEN"],
    ],
  );
  assert.match(failures[0]?.message ?? "", /b\.ts declares the handler customers.* a\.ts/);
  assert.match(failures[1]?.message ?? "", /c\/two\.ts declares the handler orders.* c\/one\.ts/);
  assert.equal(failures[1]?.file, join(folder.path, "c/two.ts"));
});

test("a folder that is missing, empty, no folder or unreadable is said", async () => {
  await using folder = await testFolder({ "a.ts": reaction(1) });
  const failureOf = async (path: string) => (await loadModules(path)).failures[0];
  const missing = await failureOf(join(folder.path, "gone"));
  assert.equal(missing?.code, "EDDY_HANDLERS_FOLDER");
  assert.match(missing?.message ?? "", /gone does not exist; nothing runs/);
  assert.match((await failureOf(join(folder.path, "a.ts")))?.message ?? "", /it is not a folder/);
  await mkdir(join(folder.path, "empty"));
  assert.match((await failureOf(join(folder.path, "empty")))?.message ?? "", /holds no module/);
  await symlink("circle", join(folder.path, "circle"));
  assert.match((await failureOf(join(folder.path, "circle")))?.message ?? "", /cannot be read/);
  await rm(join(folder.path, "circle"));
});

test("a module with a folder that cannot be read fails alone", async (t) => {
  if (process.getuid?.() === 0) return t.skip("root reads everything");
  await using folder = await testFolder({ "a.ts": reaction(1), "orders/deep/b.ts": reaction(1) });
  await chmod(join(folder.path, "orders/deep"), 0);
  const { handlers, failures } = await loadModules(folder.path);
  await chmod(join(folder.path, "orders/deep"), 0o700);
  assert.equal(handlers.length, 1);
  assert.equal(failures[0]?.code, "EDDY_HANDLER_UNREADABLE");
});

test("a native addon is not bundled but loaded from where it lies", async () => {
  await using folder = await testFolder({
    "orders/a.ts": `import addon from "./build/x.node"; console.log(addon);`,
    "orders/build/x.node": "no addon",
  });
  const [failure] = (await loadModules(folder.path)).failures;
  assert.equal(failure?.code, "EDDY_HANDLER_LOAD");
  assert(failure?.message.includes(join(folder.path, "orders/build/x.node")), failure?.message);
});

test("circles of symlinks below the folder end", async () => {
  await using folder = await testFolder({ "orders/a.ts": reaction(1) });
  await symlink("..", join(folder.path, "orders/up"));
  const { handlers, failures } = await loadModules(folder.path);
  assert.deepEqual(failures, []);
  assert.equal(handlers.length, 1);
});
