// `eddy projection get NAME`: its keys or entries, by prefix and index, page by page.
import { printable } from "../observe/index.ts";
import { conditionsOf, type EntryQuery } from "../pipeline/index.ts";
import type { ProjectionReader } from "../projections/index.ts";
import { usage } from "./exits.ts";
import { brief, print, printJson } from "./output.ts";

export interface PageOptions {
  readonly where: readonly string[];
  readonly prefix?: string;
  readonly limit: string;
  readonly after?: string;
  readonly values?: true;
}

const valuesMax = 1_000; // of one page: they are read in one request

/** @throws EddyError `EDDY_USAGE` for options that cannot be meant. */
export function queryOf({ where, prefix, limit: asked, after, values }: PageOptions): EntryQuery {
  const limit = Number(asked);
  if (!Number.isInteger(limit) || limit < 1) {
    throw usage(`--limit must be a whole number from 1 on, got ${JSON.stringify(asked)}`);
  }
  if (values && limit > valuesMax) throw usage(`--limit is at most ${valuesMax} with --values`);
  const conditions = conditionsOf(where);
  if (typeof conditions === "string") throw usage(`--where: ${conditions}`);
  return {
    ...{ limit, where: conditions },
    ...(prefix === undefined ? {} : { prefix }),
    ...(after === undefined ? {} : { after }),
  };
}

/** Prints a page; false where there is no such projection. */
export async function printPage(
  reader: ProjectionReader,
  name: string,
  query: EntryQuery,
  options: { readonly values?: true; readonly json?: true },
): Promise<boolean> {
  const page = await (options.values ? reader.entries(name, query) : reader.keys(name, query));
  if (page === undefined) return false;
  if (options.json) {
    printJson({ ...page, next: page.next });
    return true;
  }
  if ("keys" in page) for (const key of page.keys) print(printable(key));
  else for (const { key, value } of page.entries) print(`${printable(key)}  ${brief(value, 200)}`);
  if (page.next !== undefined) print(`… more: --after ${printable(JSON.stringify(page.next))}`);
  return true;
}
