// What the tests' processes load, compiled once for all of them. Through tsx each of 150 processes looks for, reads and maps
// its files anew, among them 683 of typebox: 2.8 s of processor time for what a test of promises imports, before it begins.
// C1 A module keeps its URL: import.meta, stacks and whoever reads a file beside it see the source.
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { guardFolder } from "./guard.ts";

const root = resolve(import.meta.dirname, "../..");
const common = {
  platform: "node",
  format: "esm",
  target: "node20.19",
  logLevel: "warning",
} as const;

/** Compiles sources, named from the root; gives what a process has to `--import` to load them. It is gone with this process. */
export async function compileForTests(sources: readonly string[]): Promise<string> {
  const cache = join(root, "node_modules/.cache");
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "eddy-tests-"));
  guardFolder(folder);
  const [packages] = await Promise.all([
    bundlePackage("typebox", folder),
    compile(sources, folder),
  ]);
  const facts = { root: pathToFileURL(`${root}/`).href, packages };
  await writeFile(join(folder, "hooks.mjs"), `const facts = ${JSON.stringify(facts)};${hooks}`);
  const register = join(folder, "register.mjs");
  await writeFile(
    register,
    `import { register } from "node:module";
process.setSourceMapsEnabled(true);
register("./hooks.mjs", import.meta.url);
`,
  );
  return pathToFileURL(register).href;
}

/** As if it stood beside its source: so its map names that. */
async function compile(sources: readonly string[], folder: string): Promise<void> {
  const { outputFiles } = await build({
    ...common,
    entryPoints: sources.map((source) => join(root, source)),
    outbase: root,
    outdir: root,
    write: false,
    sourcemap: "inline",
    sourcesContent: false,
  });
  for (const { path, contents } of outputFiles) {
    const file = join(folder, relative(root, path));
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, contents);
  }
}

/** URLs by specifier. */
async function bundlePackage(name: string, folder: string): Promise<Record<string, string>> {
  const manifest = await readFile(join(root, "node_modules", name, "package.json"), "utf8");
  const paths = Object.keys(JSON.parse(manifest).exports); // "." and "./value"
  const specifiers = paths.map((path) => name + path.slice(1));
  const out = (specifier: string) => `packages/${specifier.replaceAll("/", "-")}`;
  await build({
    ...common,
    entryPoints: specifiers.map((specifier) => ({
      in: fileURLToPath(import.meta.resolve(specifier)),
      out: out(specifier),
    })),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true, // what several of them share is there once
  });
  const url = (specifier: string) => pathToFileURL(join(folder, `${out(specifier)}.mjs`)).href;
  return Object.fromEntries(specifiers.map((specifier) => [specifier, url(specifier)]));
}

const hooks = `
import { readFile } from "node:fs/promises";
const packages = new Map(Object.entries(facts.packages));
export function resolve(specifier, context, next) {
  const url = packages.get(specifier);
  return url === undefined ? next(specifier, context) : { url, format: "module", shortCircuit: true };
}
export async function load(url, context, next) {
  if (!url.startsWith(facts.root) || !url.endsWith(".ts") || url.includes("/node_modules/")) return next(url, context);
  const path = url.slice(facts.root.length).replace(/\\.ts$/, ".js");
  const source = await readFile(new URL(path, import.meta.url));
  return { format: "module", source, shortCircuit: true };
}
`;
