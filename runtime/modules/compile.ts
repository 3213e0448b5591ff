// One module to one script, with esbuild. Owns what is bundled and what a version is.
// C1 The same sources give the same version, on every machine: no path of the machine is in the output.
// `build` for each, no `context`: for small modules it is as fast, and nothing has to be disposed of.
import { createHash } from "node:crypto";
import { basename, extname, join, relative, resolve, sep } from "node:path";
import type { BuildFailure, Metafile, Plugin } from "esbuild";
import { build, restart } from "./esbuild.ts";
import type { FoundModule } from "./find.ts";
import { type ScriptMap, scriptName } from "./stack.ts";

/** A source file of a module, and where its exports are found in what the script exports. */
export interface CompiledFile {
  /** Path below the handlers folder, with `/`. */
  readonly file: string;
  readonly key: string;
}

export interface Compiled {
  readonly module: FoundModule;
  readonly version: string;
  readonly script: string;
  readonly code: string;
  readonly map: ScriptMap;
  /** In the order of evaluation: a file stands behind those that it imports. */
  readonly files: readonly CompiledFile[];
  /** Every file that it was made from: absolute. */
  readonly inputs: readonly string[];
}

/** @throws esbuild's BuildFailure. */
export async function compileModule(folder: string, module: FoundModule): Promise<Compiled> {
  const specifiers = module.files.map((file) => `./${slashed(relative(folder, file))}`);
  const entry = specifiers.map((s, n) => `export * as m${n} from ${JSON.stringify(s)};`).join("\n");
  const result = await build({
    stdin: { contents: entry, resolveDir: folder, sourcefile: entryName },
    absWorkingDir: folder,
    outfile: join(folder, "module.js"),
    write: false,
    bundle: true,
    metafile: true,
    format: "cjs",
    platform: "node",
    target: "node20",
    sourcemap: "external",
    sourcesContent: false,
    // Takes the comments with file paths out of the code (C1).
    minifyWhitespace: true,
    legalComments: "none",
    charset: "utf8",
    external: ["eddyline", "eddyline/testing"],
    // A script in a vm has no import(); esbuild writes require for it.
    supported: { "dynamic-import": false },
    define: {
      "import.meta.url": "__url",
      "import.meta.filename": "__filename",
      "import.meta.dirname": "__dirname",
    },
    plugins: [outside],
    logLevel: "silent",
  }).catch(afterFailure);
  const text = (extension: string) =>
    result.outputFiles.find((file) => extname(file.path) === extension)?.text ?? "";
  const code = text(".js");
  const version = createHash("sha256")
    .update(JSON.stringify([specifiers, code]))
    .digest("hex");
  const short = version.slice(0, 8);
  const real = realPaths(result.metafile);
  const shown = new Map<string, string>();
  module.files.forEach((file, n) => {
    shown.set(resolve(folder, real.get(specifiers[n] ?? "") ?? ""), file);
  });
  return {
    module,
    version: short,
    script: scriptName(module.path, short),
    code,
    map: { folder, map: text(".map"), shown },
    files: inEvaluationOrder(result.metafile, specifiers, real),
    inputs: Object.keys(result.metafile.inputs)
      .filter((input) => input !== entryName)
      .map((input) => resolve(folder, input)),
  };
}

export function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && "errors" in error && Array.isArray(error.errors);
}

async function afterFailure(error: unknown): Promise<never> {
  if (!isBuildFailure(error)) await restart();
  throw error;
}

const entryName = "eddyline-module";

/** What stays out of the bundle besides `eddyline`: native addons, and our typebox where the folder has none. */
const outside: Plugin = {
  name: "outside",
  setup(plugin) {
    plugin.onResolve({ filter: /\.node$/ }, ({ path, resolveDir }) => ({
      path: resolve(resolveDir, path),
      external: true,
    }));
    plugin.onResolve({ filter: /^typebox(\/|$)/ }, async (args) => {
      if (args.pluginData === "asked") return undefined;
      const { path, resolveDir, kind, importer } = args;
      const own = await plugin.resolve(path, { resolveDir, kind, importer, pluginData: "asked" });
      return own.errors.length === 0 ? own : { path, external: true };
    });
  },
};

/** What each specifier of the entry was resolved to: keys of the metafile's inputs. */
function realPaths(metafile: Metafile): ReadonlyMap<string, string> {
  const imports = metafile.inputs[entryName]?.imports ?? [];
  return new Map(imports.map(({ original = "", path }) => [original, path]));
}

function inEvaluationOrder(
  metafile: Metafile,
  specifiers: readonly string[],
  real: ReadonlyMap<string, string>,
): CompiledFile[] {
  const seen = new Set<string>();
  const order: string[] = [];
  const visit = (input: string): void => {
    if (seen.has(input)) return;
    seen.add(input);
    for (const { path, external } of metafile.inputs[input]?.imports ?? []) {
      if (external !== true) visit(path);
    }
    order.push(input);
  };
  visit(entryName);
  const rank = (specifier: string) => order.indexOf(real.get(specifier) ?? "");
  return specifiers
    .map((specifier, n) => ({ specifier, file: { file: specifier.slice(2), key: `m${n}` } }))
    .sort((a, b) => rank(a.specifier) - rank(b.specifier))
    .map(({ file }) => file);
}

/** `orders/credit` of `orders/credit.ts`. */
export function withoutExtension(file: string): string {
  return file.slice(0, file.length - extname(basename(file)).length);
}

function slashed(path: string): string {
  return path.split(sep).join("/");
}
