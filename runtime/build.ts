// `npm run build`: the runtime as JavaScript in dist/, for containers, where nothing compiles at the start.
// B1 What finds files from its own place (package.json, config/) stands two folders below the root, as in the
// sources: so chunks lie in a folder too.   B2 Packages stay outside, in node_modules.
import { copyFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

rmSync(`${root}dist`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: [
    "runtime/index.ts",
    "runtime/testing/index.ts",
    "runtime/cli/main.ts",
    "runtime/modules/isolation/worker.ts",
  ],
  outbase: "runtime",
  outdir: "dist",
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  packages: "external",
  format: "esm",
  platform: "node",
  target: "node20",
  charset: "utf8",
  logLevel: "info",
});
copyFileSync(`${root}runtime/cli/eddy.js`, `${root}dist/cli/eddy.js`);
