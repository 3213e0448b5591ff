// `eddy test`: runs the tests of a handlers folder with Node's test runner. Each is bundled first, with `eddyline`
// from this installation, so that a folder anywhere needs no packages of its own.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import type { BuildFailure } from "esbuild";
import { EddyError } from "../events/index.ts";
import { loadConfig } from "../host/index.ts";
import { build, formatMessages } from "../modules/index.ts";
import { notFound } from "./exits.ts";
import { entryPoints, packagesFolder } from "./installation.ts";
import { type ConfigOption, withConfig, withExamples } from "./options.ts";

export function testCommand(): Command {
  const help = "a handlers folder, or a part of one (default: the configured one)";
  return withExamples(withConfig(new Command("test")).argument("[dir]", help), [
    ["eddy test", "every *.test.ts in the handlers folder"],
    ["eddy test handlers/orders", "those of one module"],
  ]).action(test);
}

async function test(dir: string | undefined, { config: file }: ConfigOption): Promise<void> {
  const folder = resolve(dir ?? loadConfig({ file, env: process.env }).handlers);
  const files = testsIn(folder);
  if (files.length === 0) throw notFound(`there is no *.test.ts in ${folder}`);
  const compiled = await mkdtemp(join(tmpdir(), "eddy-test-"));
  try {
    await compile(folder, files, compiled);
    process.exitCode = await run(compiled, files);
  } finally {
    await rm(compiled, { recursive: true, force: true });
  }
}

function testsIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter(
        (name) => /\.test\.[cm]?[jt]s$/.test(name) && !/(^|[\\/])(node_modules|\.)/.test(name),
      )
      .sort();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw notFound(`the folder ${folder} cannot be read: ${why}`);
  }
}

async function compile(folder: string, files: readonly string[], outdir: string): Promise<void> {
  try {
    await build({
      entryPoints: files.map((name) => join(folder, name)),
      absWorkingDir: folder,
      outbase: folder,
      outdir,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      platform: "node",
      target: "node20",
      format: "esm",
      sourcemap: "inline",
      alias: entryPoints(),
      nodePaths: [packagesFolder()],
      // Packages that are CommonJS ask for Node's own modules with require.
      banner: {
        js: 'import { createRequire as __eddyRequire } from "node:module"; const require = __eddyRequire(import.meta.url);',
      },
      logLevel: "silent",
    });
  } catch (error) {
    if (!isBuildFailure(error)) throw error;
    const texts = await formatMessages(error.errors, { kind: "error" });
    throw new EddyError(
      "EDDY_TEST_COMPILE",
      `the tests do not compile:\n\n${texts.join("").trimEnd()}`,
    );
  }
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && "errors" in error;
}

function run(compiled: string, files: readonly string[]): Promise<number> {
  const scripts = files.map((name) => join(compiled, name.replace(/[^.]+$/, "mjs")));
  const args = ["--enable-source-maps", "--test", ...scripts];
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  return new Promise((done, fail) => {
    child.on("error", fail);
    child.on("close", (code) => done(code === 0 ? 0 : 1));
  });
}
