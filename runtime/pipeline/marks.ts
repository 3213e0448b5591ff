// What an entry is found by, as it stands in the entry's own message: one cannot be stored without the other. Pure.
import type { HeaderFields } from "../events/index.ts";

/** Header of an entry. */
export const marksName = "Eddy-Index";

/** Header lines of an entry with these marks. */
export function marksLines(marks: string): string {
  return marks === "" ? "" : `${marksName}: ${marks}\r\n`;
}

/** What an entry is found by, from its headers; empty where they say nothing. */
export function marksIn(headers: HeaderFields): string {
  return headers.get(marksName.toLowerCase())?.[0] ?? "";
}
