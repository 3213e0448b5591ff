// Whether two states are the same one. Pure.
import { isDeepStrictEqual } from "node:util";

/** Of states as JSON; undefined is none. Another order of fields is no change. */
export function isSameState(a: string | undefined, b: string | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  return isDeepStrictEqual(JSON.parse(a), JSON.parse(b));
}
