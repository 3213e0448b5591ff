// Secondary indexes of a projection: the values by which its entries are found. Pure.
// I1 What an entry is found by is one text, its marks, such as `city:Bern tag:a tag:b vip:`. It names every index that was
// declared when the entry was folded, also where the entry has no value in it. I2 Marks are made of tokens: whatever a
// value holds they are legal in a header, of bounded length, and different values have different ones.
import { token } from "../events/index.ts";
import { nonsense } from "./declaration.ts";
import { Permanent } from "./errors.ts";
import type { AnyProjection, Projection } from "./projection.ts";

/** A number and the text of it are the same value. */
export type IndexValue = string | number | boolean;

/** By which values an entry is found: one, several or none. Pure: it runs again in a rebuild. */
export type IndexOf<State> = (
  state: State,
) => IndexValue | readonly IndexValue[] | null | undefined;

/** Values to find entries by, one for each index that is asked; all of them have to fit. */
export type Conditions<P extends AnyProjection> = [IndexNameOf<P>] extends [never]
  ? Readonly<Record<string, never>>
  : { readonly [Name in IndexNameOf<P>]?: IndexValue };

type IndexNameOf<P> = P extends { readonly indexes: readonly (infer Name extends string)[] }
  ? Name
  : never;

const indexesMax = 8;
const valuesMax = 64; // of an entry, in all of its indexes: they are a header of it

/** @throws EddyError `EDDY_DECLARATION` for indexes that cannot mean anything. */
export function checkIndexes(what: string, indexes: unknown): void {
  if (indexes === undefined) return;
  if (typeof indexes !== "object" || indexes === null || Array.isArray(indexes)) {
    throw nonsense(`${what}: indexes must be an object such as { city: (state) => state.city }`);
  }
  const all = Object.entries(indexes);
  if (all.length > indexesMax) {
    throw nonsense(`${what}: at most ${indexesMax} indexes, got ${all.length}`);
  }
  for (const [name, of] of all) {
    if (!/^[A-Za-z0-9_-]{1,32}$/.test(name)) {
      const got = JSON.stringify(name.slice(0, 100));
      throw nonsense(`${what}: an index's name is 1 to 32 of A-Z a-z 0-9 _ -, got ${got}`);
    }
    if (typeof of !== "function") {
      throw nonsense(`${what}: indexes.${name} must be a function of the state`);
    }
  }
}

/** What an entry with this state is found by; empty where the projection has no indexes. Throws Permanent for what can be
 * no value, and what an index's function throws. */
export function marksOf(projection: Projection, state: unknown): string {
  const marks = new Set<string>();
  for (const index of projection.indexes) {
    const found = projection.valuesIn(index, state);
    const values: readonly unknown[] = Array.isArray(found) ? found : found == null ? [] : [found];
    if (values.length === 0) marks.add(`${index}:`);
    for (const value of values) {
      if (!isIndexValue(value)) throw foreign(projection.name, index, value);
      marks.add(markOf(index, value));
      if (marks.size > valuesMax) throw tooMany(projection.name);
    }
  }
  return [...marks].join(" ");
}

/** The mark of the entries that have this value. */
export function markOf(index: string, value: IndexValue): string {
  return `${index}:${token(String(value))}`;
}

/** Whether an entry has all of these marks. */
export function hasMarks(marks: string, wanted: readonly string[]): boolean {
  return wanted.every((mark) => hasMark(marks, mark));
}

// Asked for each entry of a large projection: nothing is made here.
function hasMark(marks: string, mark: string): boolean {
  for (let at = marks.indexOf(mark); at >= 0; at = marks.indexOf(mark, at + 1)) {
    const end = at + mark.length;
    const begins = at === 0 || marks[at - 1] === " ";
    if (begins && (end === marks.length || marks[end] === " ")) return true;
  }
  return false;
}

/** The index that a mark is of. */
export function indexIn(mark: string): string {
  return mark.slice(0, mark.indexOf(":"));
}

export function isIndexValue(value: unknown): value is IndexValue {
  return ["string", "number", "boolean"].includes(typeof value);
}

function foreign(projection: string, index: string, value: unknown): Permanent {
  const found = value === null ? "null in a list" : `a value of type ${typeof value}`;
  return new Permanent(
    `projection ${projection}: the index ${index} gave ${found}; an entry is found by texts, numbers or booleans: ` +
      "one, a list of them, or none. The entry is unchanged",
  );
}

function tooMany(projection: string): Permanent {
  return new Permanent(
    `projection ${projection}: an entry is found by more than ${valuesMax} values in all of its indexes. The entry is unchanged`,
  );
}
