// The comparison of two versions over a part of the log that somebody chose, or over the newest events of a handler.
import { type Handler, parseDuration } from "../../authoring/index.ts";
import { type Broker, readMessage, streamInfo } from "../../broker/index.ts";
import type { FindEntries } from "../find.ts";
import type { Terms } from "../handle.ts";
import { readRepeats } from "../log/repeats.ts";
import { createSight } from "../log/sight.ts";
import type { ReadEntry } from "../read-entry.ts";
import { listLetters } from "../retry/letters.ts";
import { sourceOf } from "../terms.ts";
import { type Part, readPast } from "./past.ts";
import { createReruns, type Seen, statesInMemory } from "./rerun.ts";
import type { Span } from "./span.ts";
import { type Compared, createVersus, type VersusParts } from "./what-if.ts";

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
  readonly onProgress?: (seq: number, span: Span) => void;
}

/** Both versions over a span; projections fold from nothing. */
export async function compareOver(parts: SpanParts): Promise<Compared> {
  const { broker, live, next, span, key, onProgress } = parts;
  const only = key === undefined ? {} : { key };
  const versus = createVersus({ ...sidesOf(parts, Number.POSITIVE_INFINITY), ...only });
  const repeatOf = await readRepeats(broker, broker.home, span.to);
  for await (const part of readPast(broker, [live, next], span, repeatOf)) {
    await versus.take(part);
    onProgress?.(part.upTo, span);
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
    states: statesInMemory(entryBefore),
  });
  const cut = () => {
    versus.stop();
    letters.stop();
  };
  stop.addEventListener("abort", cut, { once: true });
  try {
    for (const part of await lastParts(broker, [live, next], events)) {
      stop.throwIfAborted();
      await versus.take(part);
    }
    const results = await letters.run(await seenInLetters(broker, live.name, next, stop));
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
  return { live, next, termsOf, readEntry, findEntries, maxPayloadBytes: broker.maxPayloadBytes };
}

function entryBeforeOf({ live, readEntry }: CompareParts): (key: string) => Promise<unknown> {
  return async (key) => (await readEntry({ projection: live.name, key })).value;
}

const lookMax = 200_000; // messages of the home stream: a handler of few events has none among them

/** The parts that hold the last events of these versions, oldest first. Repeats are in them: both versions see them alike. */
async function lastParts(
  broker: Broker,
  versions: readonly Handler[],
  events: number,
): Promise<Part[]> {
  const info = await streamInfo(broker.jsm, broker.home);
  if (info === undefined) return [];
  const { first_seq: first, last_seq: last } = info.state;
  const lowest = Math.max(first, last - lookMax + 1);
  const found: Part[] = [];
  let count = 0;
  let size = 2 * events;
  for (let to = last; to >= lowest && count < events; size *= 4) {
    const from = Math.max(lowest, to - size + 1);
    const parts: Part[] = [];
    for await (const part of readPast(broker, versions, { from, to }, () => 0)) parts.push(part);
    count += parts.reduce((sum, { seen }) => sum + Math.max(...seen.map((s) => s.length)), 0);
    found.unshift(...parts);
    to = from - 1;
  }
  return lastOf(found, events);
}

/** Those that stand at the end, as many as are wanted. */
function lastOf(parts: readonly Part[], events: number): Part[] {
  const seqs = new Set(
    parts.flatMap(({ seen }) => seen.flat().map(({ delivery }) => delivery.seq)),
  );
  const from = [...seqs].sort((a, b) => a - b).at(-events) ?? 0;
  return parts.map((part) => {
    const seen = part.seen.map((side) => side.filter(({ delivery }) => delivery.seq >= from));
    return { ...part, seen };
  });
}

const lettersMax = 1_000; // the newest
const readAtOnce = 64;

/** The events of open letters that the log still has. */
async function seenInLetters(
  broker: Broker,
  handler: string,
  next: Handler,
  stop: AbortSignal,
): Promise<Seen[]> {
  const letters = (await listLetters(broker, { handler })).slice(-lettersMax);
  const see = createSight(next, broker.home, () => 0);
  const found: Seen[] = [];
  for (let at = 0; at < letters.length; at += readAtOnce) {
    stop.throwIfAborted();
    const some = letters.slice(at, at + readAtOnce).map(async ({ origin: { stream, seq } }) => {
      if (stream !== broker.home) return undefined;
      const message = await readMessage(broker.nc, stream, { seq });
      if (message === undefined) return undefined;
      const headers = message.headers ?? new Uint8Array(0);
      const delivery = {
        natsSubject: message.natsSubject,
        seq,
        storedMs: message.time.getTime(),
        raw: Buffer.concat([headers, message.data]),
        headerLength: headers.byteLength,
      };
      const sighting = see(delivery);
      return sighting === undefined ? undefined : { sighting, delivery };
    });
    for (const seen of await Promise.all(some)) if (seen !== undefined) found.push(seen);
  }
  return found;
}
