// A projection's entries in memory, as JSON: a state that a handler keeps and changes later changes nothing here.
import {
  type Declaration,
  type Found,
  hasMarks,
  markOf,
  marksOf,
  Permanent,
} from "../authoring/index.ts";
import { EddyError } from "../events/index.ts";
import type { Entries, EntryQuery } from "../pipeline/index.ts";

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

/** Entries by their indexes, as `ctx.find` gives them. */
export function findInMemory(
  declaration: Declaration | undefined,
  entries: ReadonlyMap<string, string>,
  { where = [], limit, after, prefix = "" }: EntryQuery,
): Found<unknown> {
  if (declaration?.kind !== "projection") {
    throw new EddyError(
      "EDDY_PROJECTION_UNKNOWN",
      "the harness has no such projection; pass it too",
    );
  }
  const strange = where.find(([index]) => !declaration.indexes.includes(index));
  if (strange !== undefined) {
    const text = `projection ${declaration.name} has no index ${JSON.stringify(strange[0])}`;
    throw new EddyError("EDDY_INDEX_UNKNOWN", text);
  }
  const wanted = where.map(([index, value]) => markOf(index, value));
  const found = [...entries.keys()]
    .filter((key) => (after === undefined || key > after) && key.startsWith(prefix))
    .sort()
    .map((key) => ({ key, value: JSON.parse(entries.get(key) ?? "null") as unknown }))
    .filter(({ value }) => hasMarks(marksOf(declaration, value), wanted));
  const page = found.slice(0, limit);
  const last = found.length > limit ? page.at(-1) : undefined;
  return { entries: page, ...(last === undefined ? {} : { next: last.key }) };
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
