// `npm run build`: the runtime as JavaScript in dist/, for containers, where nothing compiles at the start.
// B1 What finds files from its own place (package.json, config/) stands two folders below the root, as in the
// sources: so chunks lie in a folder too.
// B2 Packages are bundled: a thousand small files cost time at the start, and nearly 20 MB of memory. Outside, in
// node_modules, stay those that start processes or threads from their own files.
import { copyFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

rmSync(`${root}dist`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: [
    "runtime/index.ts",
    "runtime/client/index.ts",
    "runtime/testing/index.ts",
    "runtime/cli/main.ts",
    "runtime/modules/isolation/worker.ts",
  ],
  outbase: "runtime",
  outdir: "dist",
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  external: ["esbuild", "pino", "pino-pretty", "eddyline"],
  // Packages that are CommonJS require Node's modules.
  banner: {
    js: 'import { createRequire as requireFor } from "node:module"; const require = requireFor(import.meta.url);',
  },
  format: "esm",
  platform: "node",
  target: "node20",
  charset: "utf8",
  logLevel: "info",
});
copyFileSync(`${root}runtime/cli/eddy.js`, `${root}dist/cli/eddy.js`);
