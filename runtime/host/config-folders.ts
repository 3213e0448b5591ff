// `folders`: settings of single modules, by the name of their file or folder. The only part of the configuration
// whose keys an operator makes up, so it has its own reader. Pure.
import { Value } from "typebox/value";
import type { FolderSettings } from "../modules/index.ts";
import { folderKeys, type KeyPath } from "./config-keys.ts";
import type { ConfigProblem, Given } from "./config-problems.ts";
import { nearest } from "./nearest.ts";

type Folders = Readonly<Record<string, FolderSettings>>;

const key = "folders" satisfies KeyPath;

export function foldersProblems(given: Given | undefined): ConfigProblem[] {
  if (given === undefined) return [];
  const { value, lines, ...place } = given;
  const problem = (path: readonly string[], message: string): ConfigProblem => {
    const line = lines?.get(path.join("\n"));
    const name = [key, ...path].join(".");
    return { ...place, ...(line && { line }), key: name, message: `${name} ${message}` };
  };
  if (!isRecord(value)) {
    const example = "{ github: { isolation: thread, memory: 128MiB } }";
    return [problem([], `must hold modules with their settings, such as ${example}`)];
  }
  return Object.entries(value).flatMap(([module, settings]) => {
    if (settings === null) return [];
    if (!isRecord(settings)) {
      return [
        problem([module], `must hold keys of its own: ${Object.keys(folderKeys).join(", ")}`),
      ];
    }
    return Object.entries(settings).flatMap(([name, value]) => {
      const path = [module, name];
      if (value === null) return [];
      if (!isFolderKey(name)) return [problem(path, `is no key.${meant(name)}`)];
      const { schema, expects } = folderKeys[name];
      if (Value.Check(schema, value)) return [];
      return [problem(path, `must be ${expects}, got ${JSON.stringify(value)}`)];
    });
  });
}

/** The settings of a value without problems. */
export function foldersOf(value: unknown): Folders {
  const modules = isRecord(value) ? Object.entries(value) : [];
  return Object.fromEntries(
    modules.map(([module, given]): [string, FolderSettings] => {
      const settings = isRecord(given) ? given : {};
      const { isolation, memory } = folderKeys;
      return [
        module,
        {
          isolation: Value.Decode(isolation.schema, settings.isolation ?? isolation.initial),
          memoryBytes: Value.Decode(memory.schema, settings.memory ?? memory.initial),
        },
      ];
    }),
  );
}

function isFolderKey(name: string): name is keyof typeof folderKeys {
  return Object.hasOwn(folderKeys, name);
}

function meant(name: string): string {
  const known = Object.keys(folderKeys);
  const near = nearest(name, known);
  const guess = near === undefined ? "" : ` Did you mean ${near}?`;
  return `${guess} The keys are: ${known.join(", ")}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
