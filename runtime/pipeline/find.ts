// A question for entries of a projection, checked: whoever asks, in a handler, over HTTP or on a command line. Pure.
import { type FindOptions, type Found, type IndexValue, isIndexValue } from "../authoring/index.ts";

/** An index and the value that entries have to have in it. */
export type Condition = readonly [index: string, value: IndexValue];

export interface EntryQuery {
  /** All of them have to fit; none at all is every entry. */
  readonly where?: readonly Condition[];
  readonly limit: number;
  /** Keys behind this one. */
  readonly after?: string;
  /** Keys that begin so. */
  readonly prefix?: string;
}

/** Entries of any projection by its indexes, for `ctx.find`. */
export type FindEntries = (projection: string, query: EntryQuery) => Promise<Found<unknown>>;

/** For functions of a projection, which ask for nothing. */
export const findNothing: FindEntries = async () => ({ entries: [] });

const limitDefault = 100;
const limitMax = 1_000;
const conditionsMax = 8;

export type Checked =
  | { readonly ok: true; readonly query: EntryQuery }
  | { readonly ok: false; readonly why: string };

/** What a handler asks for. A value that is not there must not ask for less than was meant. */
export function entryQuery(
  where: unknown,
  { limit = limitDefault, after, prefix }: FindOptions,
): Checked {
  if (typeof where !== "object" || where === null)
    return wrong(`where must be an object such as { city: "Bern" }`);
  const conditions: Condition[] = [];
  for (const [index, value] of Object.entries(where)) {
    if (!isIndexValue(value))
      return wrong(
        `the value of ${index} is ${value === null ? "null" : `of type ${typeof value}`}`,
      );
    conditions.push([index, value]);
  }
  if (!Number.isInteger(limit) || limit < 1 || limit > limitMax)
    return wrong(`limit must be a whole number from 1 to ${limitMax}`);
  if (![after, prefix].every((text) => text === undefined || typeof text === "string"))
    return wrong("after and prefix must be texts");
  return {
    ok: true,
    query: {
      ...{ where: conditions, limit },
      ...(after === undefined ? {} : { after }),
      ...(prefix === undefined ? {} : { prefix }),
    },
  };
}

/** Conditions as texts, `city=Bern` each; or why they are none. */
export function conditionsOf(texts: readonly string[]): readonly Condition[] | string {
  if (texts.length > conditionsMax)
    return `at most ${conditionsMax} conditions, got ${texts.length}`;
  const conditions: Condition[] = [];
  for (const text of texts) {
    const [, index, value] = /^([A-Za-z0-9_-]{1,32})=(.*)$/s.exec(text) ?? [];
    if (index === undefined || value === undefined) {
      const shown = JSON.stringify(text.length > 100 ? `${text.slice(0, 97)}...` : text);
      return `a condition is INDEX=VALUE such as city=Bern, got ${shown}`;
    }
    conditions.push([index, value]);
  }
  return conditions;
}

function wrong(why: string): Checked {
  return { ok: false, why };
}
