// Loads a handlers folder once, for checks and tests.
import { resolve } from "node:path";
import type { Handler } from "../authoring/index.ts";
import type { ModuleFailure } from "./failure.ts";
import { blank, handlersIn, rescan } from "./rescan.ts";
import { showPath } from "./stack.ts";

export interface LoadedModules {
  readonly handlers: readonly Handler[];
  /** Also where the folder is missing, unreadable or empty: code EDDY_HANDLERS_FOLDER. */
  readonly failures: readonly ModuleFailure[];
}

export async function loadModules(path: string): Promise<LoadedModules> {
  const folder = resolve(path);
  const { picture, reports } = await rescan(folder, blank, performance.now());
  const failures = reports.flatMap((report): ModuleFailure[] => {
    if (report.kind === "failed") return [report.failure];
    if (report.kind !== "folder") return [];
    const { message } = report;
    return [{ module: "*", code: "EDDY_HANDLERS_FOLDER", message, file: showPath(folder) }];
  });
  return { handlers: handlersIn(picture), failures };
}
