import assert from "node:assert/strict";
import { rename, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { mapStack } from "./index.ts";
import { blank, handlersIn, type ModuleReport, type Picture, rescan } from "./rescan.ts";
import {
  projectionNamed,
  reaction,
  reactionTo,
  type TestFolder,
  testFolder,
} from "./support/folder.ts";

/** Looks without any watcher: what holds here holds on a file system that sends no events. */
function looker(folder: TestFolder) {
  let picture: Picture = blank;
  const short = (report: ModuleReport) => {
    switch (report.kind) {
      case "failed":
        return `failed ${report.failure.module} ${report.failure.code}${report.running ? " runs on" : ""}`;
      case "folder":
        return `folder ${report.state}`;
      case "setting":
        return report.message;
      default:
        return `${report.kind} ${report.module} [${report.handlers.join()}]`;
    }
  };
  return {
    async look(): Promise<string[]> {
      const result = await rescan(folder.path, picture, performance.now());
      picture = result.picture;
      return result.reports.map(short);
    },
    answers: () =>
      handlersIn(picture).map(({ declaration: d }) => {
        return d.kind === "reaction" ? Reflect.apply(d.run, undefined, []) : d.name;
      }),
    handlers: () => handlersIn(picture),
  };
}

test("each change of a folder is seen without events: saved, added, renamed over, deleted", async () => {
  await using folder = await testFolder({ "a.ts": reaction(1) });
  const { look, answers } = looker(folder);
  assert.deepEqual(await look(), ["loaded a.ts [a.react]"]);
  await folder.write("a.ts", reaction(2));
  assert.deepEqual(await look(), ["loaded a.ts [a.react]"]);
  assert.deepEqual(answers(), [2]);
  await folder.write("b.ts", reaction(3));
  assert.deepEqual(await look(), ["loaded b.ts [b.react]"]);
  await folder.write(".a.ts.swp", reaction(4));
  await rename(join(folder.path, ".a.ts.swp"), join(folder.path, "a.ts"));
  assert.deepEqual(await look(), ["loaded a.ts [a.react]"]);
  assert.deepEqual(answers(), [4, 3]);
  await rm(join(folder.path, "a.ts"));
  assert.deepEqual(await look(), ["removed a.ts [a.react]"]);
  assert.deepEqual(answers(), [3]);
  await rm(join(folder.path, "b.ts"));
  assert.deepEqual(await look(), ["folder empty", "removed b.ts [b.react]"]);
  await folder.write("b.ts", reaction(3));
  assert.deepEqual(await look(), ["folder found", "loaded b.ts [b.react]"]);
});

test("a save that changes nothing is no new version, and the handlers stay the same objects", async () => {
  await using folder = await testFolder({ "a.ts": reaction(1) });
  const { look, handlers } = looker(folder);
  await look();
  const [before] = handlers();
  await folder.write("a.ts", reaction(1));
  assert.deepEqual(await look(), []);
  await utimes(join(folder.path, "a.ts"), new Date(), new Date());
  assert.deepEqual(await look(), []);
  assert.equal(handlers()[0], before);
});

test("R1: a version that is broken in any way changes nothing, and mending it is said", async () => {
  await using folder = await testFolder({ "a.ts": reaction(1) });
  const { look, answers } = looker(folder);
  await look();
  const broken: readonly [string, string][] = [
    ["export const = 1", "EDDY_HANDLER_COMPILE"],
    [`throw new Error("x")`, "EDDY_HANDLER_LOAD"],
    [`import { on } from "eddyline"; on([], () => {});`, "EDDY_DECLARATION"],
    [`${reaction(9)} null as any as { x: 1 }; (void 0 as any).x;`, "EDDY_HANDLER_LOAD"],
  ];
  for (const [text, code] of broken) {
    await folder.write("a.ts", text);
    assert.deepEqual(await look(), [`failed a.ts ${code} runs on`]);
    assert.deepEqual(await look(), [], "said once");
    assert.deepEqual(answers(), [1]);
  }
  await folder.write("a.ts", reaction(1));
  assert.deepEqual(await look(), ["loaded a.ts [a.react]"]);
  assert.deepEqual(await look(), []);
});

test("helpers count: below the folder, beside it and outside of it, also one that was missing", async () => {
  await using folder = await testFolder({
    "../lib/outer.ts": "export const outer = 1;",
    "_inner.ts": "export const inner = 1;",
    "orders/a.ts": reactionTo(
      "[outer, inner, own].join()",
      `import { outer } from "../../lib/outer.ts";
      import { inner } from "../_inner.ts";
      import { own } from "./own.ts";`,
    ),
    "orders/own.ts": "export const own = 1;",
  });
  const { look, answers } = looker(folder);
  await look();
  assert.deepEqual(answers(), ["1,1,1"]);
  await folder.write("../lib/outer.ts", "export const outer = 2;");
  assert.deepEqual(await look(), ["loaded orders [orders/a.react]"]);
  await folder.write("_inner.ts", "export const inner = 2;");
  assert.deepEqual(await look(), ["loaded orders [orders/a.react]"]);
  await folder.write("orders/own.ts", "export const own = 2;");
  assert.deepEqual(await look(), ["loaded orders [orders/a.react]"]);
  assert.deepEqual(answers(), ["2,2,2"]);
  await rm(join(folder.path, "../lib/outer.ts"));
  assert.deepEqual(await look(), ["failed orders EDDY_HANDLER_COMPILE runs on"]);
  await folder.write("../lib/outer.ts", "export const outer = 3;");
  assert.deepEqual(await look(), ["loaded orders [orders/a.react]"]);
  assert.deepEqual(answers(), ["3,2,2"]);
});

test("R2: a folder that vanishes keeps what runs; it is said, and found again", async () => {
  await using folder = await testFolder({ "a.ts": reaction(1) });
  const { look, answers } = looker(folder);
  await look();
  await rename(folder.path, `${folder.path}.away`);
  assert.deepEqual(await look(), ["folder missing"]);
  assert.deepEqual(await look(), []);
  assert.deepEqual(answers(), [1]);
  await rename(`${folder.path}.away`, folder.path);
  assert.deepEqual(await look(), ["folder found"]);
  assert.deepEqual(answers(), [1]);
});

test("a module whose name was taken comes in when the name is given up", async () => {
  await using folder = await testFolder({ "a.ts": projectionNamed("p") });
  const { look, answers } = looker(folder);
  await look();
  await folder.write("b.ts", projectionNamed("p"));
  assert.deepEqual(await look(), ["failed b.ts EDDY_HANDLER_NAME_TAKEN"]);
  assert.deepEqual(await look(), []);
  await folder.write("a.ts", projectionNamed("q"));
  assert.deepEqual(await look(), ["loaded a.ts [q]", "loaded b.ts [p]"]);
  assert.deepEqual(answers(), ["q", "p"]);
});

test("stacks of what runs, and of the version before, are mapped to source positions; older ones are not", async () => {
  await using folder = await testFolder({ "orders/a.ts": "" });
  const { look, answers } = looker(folder);
  const stacks: string[] = [];
  for (const line of [1, 11, 21]) {
    const text = reactionTo(`(function fail() { throw new Error("x${line}"); })()`);
    await folder.write("orders/a.ts", "\n".repeat(line - 1) + text);
    await look();
    assert.throws(answers, (error) => {
      assert(error instanceof Error);
      stacks.push(error.stack ?? "");
      return true;
    });
  }
  const file = join(folder.path, "orders/a.ts");
  assert.match(mapStack(stacks[2] ?? ""), new RegExp(`at fail \\(${file}:23:\\d+`));
  assert.match(mapStack(stacks[1] ?? ""), new RegExp(`at fail \\(${file}:13:\\d+`));
  assert.equal(mapStack(stacks[0] ?? ""), stacks[0]);
  assert.equal(
    mapStack("Error: no module\n    at /x/y.ts:1:2"),
    "Error: no module\n    at /x/y.ts:1:2",
  );
});
