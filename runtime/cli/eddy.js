#!/usr/bin/env node
// The command `eddy`. Runs what is built where there is a build, else the TypeScript sources beside it.
// Plain JavaScript that old versions of Node can read, so that they get a sentence instead of a syntax error.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`eddy needs Node 20.19 or newer, this is ${process.versions.node}`);
  process.exit(1);
}

const built = new URL("./main.js", import.meta.url);
if (!existsSync(built)) await compileOnTheFly();
const { main } = await import(existsSync(built) ? built.href : "./main.ts");
await main(process.argv.slice(2));

async function compileOnTheFly() {
  try {
    const { register } = await import("tsx/esm/api");
    // Without this it would obey a tsconfig.json of the folder that it is started in.
    register({ tsconfig: fileURLToPath(new URL("../../tsconfig.json", import.meta.url)) });
  } catch {
    console.error("eddy is neither built nor installed for development: run `npm install` first");
    process.exit(1);
  }
}
