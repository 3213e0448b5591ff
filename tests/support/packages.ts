// typebox as a few files, for the tests' processes. It consists of 683, and each process that imports it reads them one by
// one through tsx: two thirds of what it loads. Everything else is loaded as it is.
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { guardFolder } from "./guard.ts";

const root = resolve(import.meta.dirname, "../..");
const name = "typebox";

/** What a process has to `--import` after tsx. It is gone with this process. */
export async function bundlePackages(): Promise<string> {
  const cache = join(root, "node_modules/.cache");
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "eddy-packages-"));
  guardFolder(folder);
  const manifest = await readFile(join(root, "node_modules", name, "package.json"), "utf8");
  const paths = Object.keys(JSON.parse(manifest).exports);
  const specifiers = paths.map((path) => name + path.slice(1)); // "." and "./value"
  const entryOf = (specifier: string) => specifier.replaceAll("/", "-");
  await build({
    entryPoints: specifiers.map((specifier) => ({
      in: fileURLToPath(import.meta.resolve(specifier)),
      out: entryOf(specifier),
    })),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true, // what several of them share is there once
    platform: "node",
    format: "esm",
  });
  const urls = specifiers.map((specifier) => {
    return [specifier, pathToFileURL(join(folder, `${entryOf(specifier)}.mjs`)).href];
  });
  await writeFile(join(folder, "hooks.mjs"), hooks(Object.fromEntries(urls)));
  const register = join(folder, "register.mjs");
  await writeFile(
    register,
    `import { register } from "node:module";\nregister("./hooks.mjs", import.meta.url);\n`,
  );
  return pathToFileURL(register).href;
}

const hooks = (urls: Readonly<Record<string, string>>) => `
const urls = new Map(Object.entries(${JSON.stringify(urls)}));
export function resolve(specifier, context, next) {
  const url = urls.get(specifier);
  return url === undefined ? next(specifier, context) : { url, format: "module", shortCircuit: true };
}
`;
