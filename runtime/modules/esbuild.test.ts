import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { eventually } from "../../tests/support/eventually.ts";
import { build } from "./esbuild.ts";

/** Processes of esbuild that this one has started. */
function esbuilds(): number {
  const { stdout } = spawnSync("pgrep", ["-P", String(process.pid), "esbuild"], {
    encoding: "utf8",
  });
  return stdout.split("\n").filter((line) => line !== "").length;
}

const others = esbuilds(); // what compiles this file may be one

const compile = async (text: string) => {
  const { outputFiles } = await build({ stdin: { contents: text }, write: false });
  return outputFiles?.[0]?.text.trim();
};

test("E1: esbuild's process goes once nobody uses it, and comes back for the next build", async () => {
  assert.equal(await compile("export const a = 1"), "export const a = 1;");
  assert.equal(esbuilds(), others + 1);
  await eventually(() => esbuilds() === others);
  assert.equal(await compile("export const b = 2"), "export const b = 2;");
  assert.equal(esbuilds(), others + 1);
});

test("E1: builds one after the other, or on each other's end, are never cut off", async () => {
  for (let round = 0; round < 5; round++) {
    const built = await Promise.all([compile("let x"), compile("let y"), compile("let z")]);
    assert.deepEqual(built, ["let x;", "let y;", "let z;"]);
    await new Promise((resolve) => setTimeout(resolve, 300 * round)); // up to beyond its rest
  }
});
