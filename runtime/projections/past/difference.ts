// What changed in a projection between two moments: keys that were added, removed or changed, with both values.
// D1 What is held in memory are the entries that events touched between the two moments, and no others; their number and
// bytes are bounded. D2 Keys are told in order, a page at a time; the positions of the first page make the next ones fit.
import { EddyError } from "../../events/index.ts";
import {
  foldPast,
  type LogRange,
  meetEvents,
  type PastParts,
  type PastStates,
} from "../../pipeline/index.ts";
import { isSameState } from "./same.ts";

export interface EntryChange {
  readonly key: string;
  readonly kind: "added" | "removed" | "changed";
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface Page {
  readonly limit: number;
  /** Only keys behind this one. */
  readonly after?: string;
}

export interface Differences {
  /** Of all pages. */
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  readonly changes: readonly EntryChange[];
  /** The `after` of the next page. */
  readonly next?: string;
}

const keysMax = 100_000;
const statesBytesMax = 128 * 2 ** 20;
const pageBytesMax = 8 * 2 ** 20;

/** Between what was folded before the first moment, and that with what stands between the two. */
export async function differencesIn(
  parts: PastParts,
  before: readonly LogRange[],
  between: readonly LogRange[],
  page: Page,
): Promise<Differences> {
  const touched = await keysIn(parts, between);
  const states: PastStates = new Map();
  const isTouched = (key: string) => touched.has(key);
  await fold(parts, before, states, isTouched);
  const first = new Map(states);
  await fold(parts, between, states, isTouched);
  return pageOf([...touched].sort(), first, states, page);
}

async function keysIn(parts: PastParts, ranges: readonly LogRange[]): Promise<Set<string>> {
  const keys = new Set<string>();
  for await (const slice of meetEvents(parts, ranges)) {
    for (const { key, sighting } of slice) if (sighting.kind === "event") keys.add(key);
    if (keys.size > keysMax) throw tooLarge(`more than ${keysMax} entries changed`);
  }
  return keys;
}

async function fold(
  parts: PastParts,
  ranges: readonly LogRange[],
  states: PastStates,
  isWanted: (key: string) => boolean,
): Promise<void> {
  const bytes = new Map<string, number>();
  let sum = 0;
  for await (const steps of foldPast(parts, ranges, states, isWanted)) {
    for (const step of steps) {
      if (step.kind !== "folded") continue;
      const now = (step.state?.length ?? 0) * 2;
      sum += now - (bytes.get(step.key) ?? 0);
      bytes.set(step.key, now);
    }
    if (sum > statesBytesMax)
      throw tooLarge(`the entries that changed have more than ${statesBytesMax / 2 ** 20} MiB`);
  }
}

function pageOf(
  touched: readonly string[],
  before: PastStates,
  after: PastStates,
  page: Page,
): Differences {
  const counts = { added: 0, removed: 0, changed: 0 };
  const changes: EntryChange[] = [];
  let bytes = 0;
  let next: string | undefined;
  for (const key of touched) {
    const [was, is] = [before.get(key), after.get(key)];
    if (isSameState(was, is)) continue;
    const kind = was === undefined ? "added" : is === undefined ? "removed" : "changed";
    counts[kind]++;
    if (page.after !== undefined && key <= page.after) continue;
    const size = ((was?.length ?? 0) + (is?.length ?? 0)) * 2;
    const isFull = changes.length === page.limit || (bytes + size > pageBytesMax && bytes > 0);
    if (isFull) next ??= changes.at(-1)?.key;
    if (next !== undefined) continue;
    bytes += size;
    changes.push({
      key,
      kind,
      ...(was === undefined ? {} : { before: JSON.parse(was) }),
      ...(is === undefined ? {} : { after: JSON.parse(is) }),
    });
  }
  return { ...counts, changes, ...(next === undefined ? {} : { next }) };
}

function tooLarge(what: string): EddyError {
  const text = `${what} between the two moments: too much to compare at once. Ask for a shorter stretch`;
  return new EddyError("EDDY_PAST_TOO_LARGE", text);
}
