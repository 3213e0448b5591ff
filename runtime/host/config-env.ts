// EDDY_… variables: each key has one, made from its path. An empty variable counts as not set, as a compose
// file makes them.
import { parseDocument } from "yaml";
import { type KeyPath, keyAt, keyPaths, variableOf } from "./config-keys.ts";
import type { Given } from "./config-problems.ts";
import { nearest } from "./nearest.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables of Eddyline that are no keys: where the file is, where the nats-server cache is. */
const otherVariables = ["EDDY_CONFIG", "EDDY_CACHE"];

export function fromEnvironment(env: Environment): Map<KeyPath, Given> {
  const given = new Map<KeyPath, Given>();
  for (const path of keyPaths) {
    const variable = variableOf(path);
    const text = env[variable];
    if (text === undefined || text === "") continue;
    given.set(path, { value: fromText(path, text), variable });
  }
  return given;
}

function fromText(path: KeyPath, text: string): unknown {
  switch (keyAt(path).form) {
    case "text":
      return text;
    case "number":
    case "quantity":
      return numberOr(text);
    case "list":
      return text.split(",").map((part) => numberOr(part.trim()));
    case "yaml":
      return parseDocument(text).toJS();
  }
}

function numberOr(text: string): string | number {
  return /^-?\d+(?:\.\d+)?$/.test(text.trim()) ? Number(text) : text;
}

/** Variables that look like Eddyline's and are none: most likely a slip, so it is worth a warning. */
export function configWarnings(env: Environment): string[] {
  const known = [...keyPaths.map(variableOf), ...otherVariables];
  const strange = Object.keys(env).filter((name) => name.startsWith("EDDY_"));
  return strange
    .filter((name) => !known.includes(name))
    .sort()
    .map((name) => {
      const near = nearest(name, known);
      const meant = near === undefined ? "" : ` Did you mean ${near}?`;
      return `the environment variable ${name} belongs to no key and does nothing.${meant}`;
    });
}
