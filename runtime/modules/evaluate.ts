// Runs a compiled module and gives what it exports. Owns what a module can require.
// E1 Everything of a version can be freed: an ES module never is, and 1,000 versions as vm.Script kept 450 MB
// where compileFunction kept none.   E2 A loop without end at the top level is stopped.
import { url as inspectorUrl } from "node:inspector";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { compileFunction, Script } from "node:vm";
import * as typebox from "typebox";
import { EddyError } from "../events/index.ts";
import * as eddyline from "../index.ts";
import type { Compiled } from "./compile.ts";

/** Longest that a module's top level may take. Nothing else runs meanwhile. */
const loadMsMax = 5_000;

/** What it takes to run a compiled module. */
export type Evaluable = Pick<Compiled, "script" | "code"> & {
  readonly module: Pick<Compiled["module"], "name" | "path">;
  readonly map: Pick<Compiled["map"], "folder" | "map">;
};

export type Exports = Readonly<Record<string, unknown>>;

/** @throws whatever the module throws; EddyError EDDY_HANDLER_ENDLESS. */
export function evaluate(compiled: Evaluable, msMax = loadMsMax): Exports {
  const { path } = compiled.module;
  const code = inspectorUrl() === undefined ? compiled.code : debuggable(compiled);
  const run = compileFunction(code, parameters, { filename: compiled.script });
  const module: { exports: Exports } = { exports: {} };
  const url = pathToFileURL(path).href;
  const given = [module.exports, requireFrom(path), module, path, compiled.map.folder, url];
  withDeadline(() => Reflect.apply(run, undefined, given), msMax, compiled.module.name);
  return module.exports;
}

/** With the source map in it, so that a debugger shows the sources and takes breakpoints there. */
function debuggable({ code, map: { folder, map } }: Evaluable): string {
  const sourceRoot = pathToFileURL(`${folder}/`).href;
  const json = JSON.stringify({ ...JSON.parse(map), sourceRoot });
  const url = `data:application/json;base64,${Buffer.from(json).toString("base64")}`;
  return `${code}\n//# sourceMappingURL=${url}`;
}

const parameters = ["exports", "require", "module", "__filename", "__dirname", "__url"];

function requireFrom(path: string): (id: string) => unknown {
  const native = createRequire(path);
  return (id) => {
    if (id === "eddyline") return eddyline;
    if (id === "eddyline/testing") {
      throw new EddyError(
        "EDDY_DECLARATION",
        '"eddyline/testing" is for tests (*.test.ts), a handler cannot import it',
      );
    }
    if (id === "typebox") return typebox;
    return id.startsWith("typebox/") ? ours(id) : native(id);
  };
}

const ours = createRequire(import.meta.url);

// Only a Script's run has a timeout; this one calls what stands behind the symbol.
const slot = Symbol.for("eddyline.evaluate");
const caller = new Script('globalThis[Symbol.for("eddyline.evaluate")]()');

function withDeadline(run: () => unknown, msMax: number, module: string): void {
  Object.defineProperty(globalThis, slot, { value: run, configurable: true });
  try {
    caller.runInThisContext({ timeout: msMax });
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    if (error.code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    const text = `loading ${module} took longer than ${msMax / 1_000} s: a loop without end at the top level?`;
    throw new EddyError("EDDY_HANDLER_ENDLESS", text, { module }, { cause: error });
  } finally {
    Reflect.deleteProperty(globalThis, slot);
  }
}
