// Waiting until a projection has folded what stands at a position, and what a read reflects. Needs no node: it asks the
// server, more and more seldom.
// W1 A wait ends: when the position is passed, when the projection lacks it for good, or with its time. W2 Any number of
// waits for one projection ask the server as often as one does.
import { setTimeout as sleep } from "node:timers/promises";
import { EddyError, type Position, positionText } from "../events/index.ts";
import {
  lastStored,
  type Passage,
  type Progress,
  passageOf,
  type Reading,
  type ReadWait,
  readProgress,
} from "../pipeline/index.ts";
import { createShared } from "./shared.ts";

export interface Reach {
  /** Every event of the projection up to here has its outcome, and what it did to an entry can be read. */
  readonly at: Position;
  /** For how long the oldest event that it has not folded has been stored, in ms; 0 where none is left. */
  readonly staleMs: number;
}

/** What the server is asked, once for all who ask at the same time. */
export interface Looks {
  progress(name: string, stream: string): Promise<Progress | undefined>;
  /** The last position of a stream. */
  last(stream: string): Promise<number>;
}

export function createLooks(broker: Reading): Looks {
  const progress = createShared<Progress | undefined>();
  const last = createShared<number>();
  return {
    progress: (name, stream) =>
      progress(`${name} ${stream}`, () => readProgress(broker, name, stream)),
    last: (stream) => last(stream, () => lastStored(broker, stream)),
  };
}

const firstPauseMs = 1;
const pauseMsMax = 50;
const settleMs = 100; // for entries that a record carries already

/** How far the projection has come in a stream; undefined where nobody can tell. */
export async function reachOf(
  looks: Looks,
  name: string,
  stream: string,
): Promise<Reach | undefined> {
  const endMs = performance.now() + settleMs;
  for (let pauseMs = firstPauseMs; ; pauseMs *= 2) {
    const progress = await looks.progress(name, stream).catch(untold);
    if (progress === undefined) return undefined;
    if (progress.written) return { at: progress.at, staleMs: progress.staleMs };
    if (performance.now() + pauseMs > endMs) return undefined;
    await sleep(pauseMs);
  }
}

/**
 * Resolves once what the event at the position did to its entry can be read.
 * @throws EddyError `EDDY_PROJECTION_BEHIND` where the time is over before, `EDDY_PROJECTION_LACKS` where the event is dead
 * there, `EDDY_PROJECTION_INPUT` where the projection does not read that stream.
 */
export async function untilReached(
  broker: Reading,
  looks: Looks,
  name: string,
  { after, waitMs }: ReadWait,
): Promise<Reach> {
  const endMs = performance.now() + waitMs;
  let stored = false;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, pauseMsMax)) {
    const progress = await looks.progress(name, after.stream);
    if (progress === undefined && after.stream !== broker.home) throw notRead(name, after);
    const passage = progress && (await passageOf(broker, name, progress, after, stored));
    if (passage?.kind === "passed") return reached(progress as Progress, after);
    if (passage?.kind === "lacking" && isFinal(passage)) throw lacks(name, after, passage.standing);
    if (passage?.kind === "unread" && !stored) {
      stored = after.seq <= (await looks.last(after.stream));
      if (stored) continue; // what is asked now comes after it was stored
    }
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) throw behind(name, after, progress, passage, waitMs);
    await sleep(Math.min(pauseMs, leftMs));
  }
}

function reached({ at, nothingLeft, staleMs }: Progress, after: Position): Reach {
  return { at: nothingLeft && after.seq > at.seq ? after : at, staleMs };
}

// Of a version that is not known here: the entry can be read all the same.
function untold(error: unknown): undefined {
  if (error instanceof EddyError && error.code === "EDDY_LEDGER_UNREADABLE") return undefined;
  throw error;
}

function isFinal({ standing }: Extract<Passage, { kind: "lacking" }>): boolean {
  return standing === "dead" || standing === "discarded";
}

function lacks(name: string, after: Position, standing: string): EddyError {
  const text =
    `projection ${name} lacks ${positionText(after)}: the event is ${standing === "dead" ? "a dead letter" : "discarded"} there, ` +
    "and its entry is as it was before. See: eddy dead list";
  return new EddyError("EDDY_PROJECTION_LACKS", text, { projection: name });
}

function notRead(name: string, { stream }: Position): EddyError {
  const text = `projection ${name} does not read the stream ${stream.slice(0, 100)}: nobody can wait for it there`;
  return new EddyError("EDDY_PROJECTION_INPUT", text, { projection: name });
}

function behind(
  name: string,
  after: Position,
  progress: Progress | undefined,
  passage: Passage | undefined,
  waitMs: number,
): EddyError {
  const at = progress === undefined ? "nowhere yet" : `at ${positionText(progress.at)}`;
  const why =
    passage?.kind === "lacking" ? "; the event failed there and waits for its next attempt" : "";
  const text = `projection ${name} has not passed ${positionText(after)} within ${waitMs} ms: it is ${at}${why}. Ask again later`;
  return new EddyError("EDDY_PROJECTION_BEHIND", text, {
    projection: name,
    ...(progress === undefined ? {} : { position: positionText(progress.at) }),
  });
}
