// A projection's entries in memory, as JSON: a state that a handler keeps and changes later changes nothing here.
import { Permanent } from "../authoring/index.ts";
import type { Entries } from "../pipeline/index.ts";

/** Entries that are written as they are folded: there is no batch to wait for. */
export function memoryEntries(entries: Map<string, string>): Entries {
  return {
    known: () => undefined,
    async read(key) {
      const json = entries.get(key);
      return json === undefined ? undefined : JSON.parse(json);
    },
    fold(key, next) {
      if (next === null) entries.delete(key);
      else entries.set(key, toJson(key, next));
      return { natsSubject: "", headerLines: "", data: new Uint8Array(0) };
    },
    forget() {},
    beginAnew: () => entries.clear(),
    async *leftovers() {},
  };
}

function toJson(key: string, state: unknown): string {
  try {
    const json = JSON.stringify(state);
    if (json !== undefined) return json;
  } catch {
    // said below: a cycle or a BigInt
  }
  throw new Permanent(`the state of ${JSON.stringify(key)} is no JSON value`);
}
