// A page of entries: which ones, in the order of their keys.
// Q1 An entry that is there, and fits, while all pages are read comes exactly once, whatever is written between them: a page
// begins behind a key, not at a number. Q2 An index answers for every entry, or not at all.
import { hasMarks, markOf } from "../authoring/index.ts";
import { EddyError } from "../events/index.ts";
import type { EntryQuery } from "../pipeline/index.ts";
import type { Listed, Listing } from "./directory.ts";

export interface Selected {
  readonly listed: readonly Listed[];
  /** The `after` of the next page, where there is one. */
  readonly next?: string;
}

const bytesMax = 4 * 2 ** 20; // of the values of one page; one entry always fits

/** `bounded`: the values will be read as well. */
export function select(listing: Listing, query: EntryQuery, bounded: boolean): Selected {
  const { after = "", prefix = "", limit } = query;
  const wanted = marksWanted(query);
  const listed: Listed[] = [];
  let bytes = 0;
  const [, first = ""] = [after, prefix].sort();
  for (const one of listing.from(first, wanted)) {
    if (!one.key.startsWith(prefix)) break; // keys that begin so follow each other
    if (one.key === query.after || !hasMarks(one.head.marks, wanted)) continue;
    bytes += one.head.bytes;
    const full = listed.length === limit || (bounded && bytes > bytesMax);
    const last = listed.at(-1);
    if (full && last !== undefined) return { listed, next: last.key };
    listed.push(one);
  }
  return { listed };
}

/** What the marks of an entry have to be. */
export function marksWanted({ where = [] }: EntryQuery): string[] {
  return where.map(([index, value]) => markOf(index, value));
}

/** @throws EddyError `EDDY_INDEX_UNKNOWN` */
export function checkDeclared(
  projection: string,
  declared: readonly string[],
  { where = [] }: EntryQuery,
): void {
  const strange = where.find(([index]) => !declared.includes(index));
  if (strange === undefined) return;
  const name = JSON.stringify(strange[0].slice(0, 100));
  const has = declared.length === 0 ? "no indexes" : `the indexes ${declared.join(", ")}`;
  const text = `projection ${projection} has no index ${name}: its handler declares ${has}`;
  throw new EddyError("EDDY_INDEX_UNKNOWN", text, { projection });
}

/** @throws EddyError `EDDY_INDEX_INCOMPLETE` */
export function checkComplete(
  projection: string,
  listing: Listing,
  { where = [] }: EntryQuery,
): void {
  for (const [index] of where) {
    const lacking = listing.lacking(index);
    if (lacking === 0) continue;
    const text =
      `the index ${index} of projection ${projection} is not complete: ${lacking} of ${listing.live} entries were folded ` +
      "before it was declared, or by an older runtime, and would be left out. " +
      `They get it when they are folded again; for all at once: eddy projection rebuild ${projection}`;
    throw new EddyError("EDDY_INDEX_INCOMPLETE", text, { projection });
  }
}
