// `eddy` as a test starts it: built once a test process, because compiling on the fly and
// reading a thousand files of packages costs each start about 1.5 s of CPU.
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Plugin } from "esbuild";
import { build } from "../../runtime/modules/esbuild.ts";
import { guardFolder } from "./guard.ts";

const root = resolve(import.meta.dirname, "../..");

let built: Promise<string> | undefined;

/** The file that `node` runs. It is gone with this process. */
export function launcher(): Promise<string> {
  built ??= buildOnce();
  return built;
}

// Inside node_modules, so that packages are found from there and git does not see it.
async function buildOnce(): Promise<string> {
  const cache = join(root, "node_modules/.cache");
  await mkdir(cache, { recursive: true });
  const outdir = await mkdtemp(join(cache, "eddy-test-"));
  guardFolder(outdir);
  await build({
    entryPoints: [join(root, "runtime/cli/main.ts")],
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    external: ["esbuild", "pino", "pino-pretty"], // they read files beside their own
    banner: { js: requireOfPackages },
    platform: "node",
    format: "esm",
    plugins: [whereTheSourceIs],
  });
  const file = join(outdir, "eddy.mjs");
  await writeFile(file, `import { main } from "./main.mjs";\nawait main(process.argv.slice(2));\n`);
  return file;
}

/** Packages in CommonJS call `require`, which a module does not have. */
const requireOfPackages = `import { createRequire as createRequireOf } from "node:module"; const require = createRequireOf(import.meta.url);`;

/** The runtime finds its own files from where its sources are. */
const whereTheSourceIs: Plugin = {
  name: "where the source is",
  setup({ onLoad }) {
    onLoad({ filter: /\/runtime\/.*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const url = JSON.stringify(pathToFileURL(path).href);
      return { contents: source.replaceAll(/import\.meta\.url(?!["'])/g, url), loader: "ts" };
    });
  },
};
