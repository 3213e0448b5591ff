// The comparison of two versions over a part of the log that somebody chose, or over the newest events of a handler.
import { type Handler, parseDuration } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import type { Position } from "../../events/index.ts";
import type { FindEntries } from "../find.ts";
import type { Terms } from "../handle.ts";
import { type LogRange, readLog } from "../log/read-log.ts";
import { noRepeats, readRepeatsIn } from "../log/repeats-in.ts";
import type { Sighting } from "../log/sight.ts";
import type { ReadEntry } from "../read-entry.ts";
import { sourceOf } from "../terms.ts";
import { lastEvents, seenInLetters } from "./newest.ts";
import { mayHaveKey } from "./replay.ts";
import { createReruns, type Rerun, statesInMemory } from "./rerun.ts";
import { notOutside } from "./sinks.ts";
import type { Span } from "./span.ts";
import { type Compared, createVersus, type VersusParts } from "./what-if.ts";

const sliceMax = 800;

export interface CompareParts {
  readonly broker: Broker;
  readonly live: Handler;
  readonly next: Handler;
  /** Of handlers that declare none. */
  readonly deadlineMs: number;
  readonly readEntry: ReadEntry;
  readonly findEntries: FindEntries;
}

export interface SpanParts extends CompareParts {
  readonly span: Span;
  readonly key?: string;
  readonly onProgress?: (upTo: readonly Position[], ranges: readonly LogRange[]) => void;
}

/** Both versions over a span; projections fold from nothing. */
export async function compareOver(parts: SpanParts): Promise<Compared> {
  const { broker, live, next, span, key, onProgress } = parts;
  const only = key === undefined ? {} : { key };
  const versus = createVersus({ ...sidesOf(parts, Number.POSITIVE_INFINITY), ...only });
  const reading = {
    ...{ broker, versions: [live, next], sliceMax },
    repeatsIn: await readRepeatsIn(broker, span),
    wantsData: ({ event }: Sighting) =>
      [live, next].some((version) => mayHaveKey(version, key, event)),
  };
  for await (const slice of readLog(reading, span)) {
    await versus.take(slice);
    onProgress?.(slice.upTo, span);
  }
  return versus.end();
}

export interface Rehearsal extends Compared {
  /** Open letters of the handler whose events were run by the new version; of these the ones that do not fail any more. */
  readonly letters: number;
  readonly lettersMended: number;
}

export interface RehearsalParts extends CompareParts {
  /** How many of the handler's last events. */
  readonly events: number;
  /** Longest run of one event, whatever the handler declares. */
  readonly attemptMs: number;
  readonly stop: AbortSignal;
}

/**
 * Both versions over the handler's last events, and the new one over those that it has open letters of. A projection folds into
 * its entries as they are now: what the new version makes of old states is what is asked.
 */
export async function compareLast(parts: RehearsalParts): Promise<Rehearsal> {
  const { broker, live, next, events, attemptMs, stop } = parts;
  const sides = sidesOf(parts, attemptMs);
  const entryBefore = entryBeforeOf(parts);
  const versus = createVersus({ ...sides, entryBefore });
  const letters = createReruns({
    ...sides,
    handler: next,
    terms: sides.termsOf(next),
    storeOutside: notOutside,
    states: statesInMemory(entryBefore),
  });
  const cut = () => {
    versus.stop();
    letters.stop();
  };
  stop.addEventListener("abort", cut, { once: true });
  try {
    const ranges = await lastEvents(broker, [live, next], events);
    const repeatsIn = () => noRepeats; // both versions see them alike
    for await (const slice of readLog(
      { broker, versions: [live, next], repeatsIn, sliceMax },
      ranges,
    )) {
      stop.throwIfAborted();
      await versus.take(slice);
    }
    const results: Rerun[] = [];
    for await (const seen of seenInLetters(broker, live.name, next)) {
      stop.throwIfAborted();
      results.push(...(await letters.run(seen)));
    }
    const mended = results.filter(({ kind }) => kind !== "failed").length;
    return { ...versus.end(), letters: results.length, lettersMended: mended };
  } finally {
    stop.removeEventListener("abort", cut);
  }
}

function sidesOf(parts: CompareParts, attemptMs: number): VersusParts {
  const { broker, live, next, readEntry, findEntries } = parts;
  const termsOf = ({ name, declaration }: Handler): Terms => {
    const deadlineMs = parseDuration(declaration.options.deadline) ?? parts.deadlineMs;
    const source = sourceOf(broker.app, name);
    return { deadlineMs: Math.min(deadlineMs, attemptMs), source, replaying: true };
  };
  return { broker, live, next, termsOf, readEntry, findEntries };
}

function entryBeforeOf({ live, readEntry }: CompareParts): (key: string) => Promise<unknown> {
  return async (key) => (await readEntry({ projection: live.name, key })).value;
}
