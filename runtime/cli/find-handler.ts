// A handler's code, from a handlers folder.
import { resolve } from "node:path";
import type { Handler } from "../authoring/index.ts";
import { EddyError } from "../events/index.ts";
import { type LoadedModules, loadModules } from "../modules/index.ts";
import { notFound } from "./exits.ts";

export async function findHandler(folder: string, name: string): Promise<Handler> {
  const loaded = await loadModules(folder);
  const found = loaded.handlers.find((handler) => handler.name === name);
  if (found !== undefined) return found;
  throw loadFailure(loaded) ?? unknown(name, folder, loaded);
}

/** Why a module does not load, where that may be why the handler is not there. */
export function loadFailure({ failures: [first] }: LoadedModules): EddyError | undefined {
  if (first === undefined) return undefined;
  const { code, file, line, message, frame } = first;
  const place = line === undefined ? file : `${file}:${line}`;
  return new EddyError(code, `${place}: ${message}${frame === undefined ? "" : `\n${frame}`}`);
}

function unknown(name: string, folder: string, { handlers }: LoadedModules): EddyError {
  const names = handlers.map((handler) => handler.name);
  const some = names.slice(0, 20).join(", ") || "none";
  const more = names.length > 20 ? ` and ${names.length - 20} more` : "";
  return notFound(
    `no handler ${JSON.stringify(name.slice(0, 200))} in ${resolve(folder)}. There are: ${some}${more}`,
  );
}
