// Loads one source file as a module of its own: a changed version of a file that stands in a handlers folder.
import { basename, dirname, resolve } from "node:path";
import { type Compiled, compileModule } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import { compileFailure, loadFailure } from "./failure.ts";
import { handlersOf } from "./handlers.ts";
import type { LoadedModules } from "./load.ts";
import { keepMap } from "./stack.ts";

/** Its handlers have names by the file alone: `credit.reserveCredit`. */
export async function loadFile(path: string): Promise<LoadedModules> {
  const file = resolve(path);
  const folder = dirname(file);
  const module = { name: basename(file), path: file, files: [file] };
  let compiled: Compiled;
  try {
    compiled = await compileModule(folder, module);
  } catch (error) {
    return { handlers: [], failures: [await compileFailure(folder, module, error)] };
  }
  keepMap(compiled.script, compiled.map);
  try {
    return { handlers: handlersOf(compiled, evaluate(compiled)), failures: [] };
  } catch (thrown) {
    return { handlers: [], failures: [await loadFailure(compiled, thrown)] };
  }
}
