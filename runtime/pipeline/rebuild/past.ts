// A projection's past, folded anew and aside: from the log, by one version, into memory. Stores nothing.
// P1 Each event is folded at most once, in stream order for each key. P2 An event that this version cannot fold, and
// that has no letter of its own, ends the rebuild: it would lose what the entries have of it.
// P3 A live handler is held up for one chunk at most.
import { type Handler, type Projection, parseDuration } from "../../authoring/index.ts";
import { type Broker, type Delivery, readRange } from "../../broker/index.ts";
import {
  describeThrown,
  EddyError,
  isAway,
  type Position,
  positionText,
} from "../../events/index.ts";
import { filterOf } from "../consume.ts";
import { expiryOf } from "../expiry.ts";
import { entryKey, marksAfter, nextState } from "../fold.ts";
import type { Place } from "../ledger/place.ts";
import { withData } from "../log/read-log.ts";
import { createSight, type Sighting } from "../log/sight.ts";
import type { ReadEntry } from "../read-entry.ts";
import { remoteOf } from "../remote.ts";
import { readStanding, type Standing } from "../retry/standing.ts";
import { sourceOf } from "../terms.ts";
import { foldRemotely, type ToFold } from "./fold-remotely.ts";
import { readExpired, readStandings } from "./standings.ts";
import { createStates, type States } from "./states.ts";

export interface PastParts {
  readonly broker: Broker;
  readonly handler: Handler;
  readonly place: Place;
  readonly deadlineMs: number;
  readonly readEntry: ReadEntry;
  readonly signal: AbortSignal;
  /** All up to here was read; how many events were folded. */
  readonly onRead: (seq: number, events: number) => void;
}

export interface Past {
  /** Folds a stretch of the log that follows what was read before; `wanted` leaves out positions of it. */
  read(from: number, to: number, repeatOf: RepeatOf, wanted?: Wanted): Promise<void>;
  readonly states: States;
  /** Positions that wait for a retry or are dead, and were folded here. */
  readonly mended: ReadonlySet<number>;
  readonly events: number;
}

export type RepeatOf = (seq: number) => number;
type Wanted = (seq: number) => boolean;
type Seen = Extract<Sighting, { kind: "event" }>;

/** An event that could not be folded. */
interface Doubt {
  readonly position: Position;
  readonly cause: unknown;
}

export function createPast(parts: PastParts): Past {
  const { broker, handler, place, signal } = parts;
  const { declaration } = handler;
  if (declaration.kind !== "projection") throw new RangeError("only a projection has a past");
  const states = createStates(handler.name);
  const mended = new Set<number>();
  const maxAgeMs = parseDuration(declaration.options.maxAge);
  const remote = remoteOf(handler);
  let standings: ReadonlyMap<number, Standing> = new Map();
  let expired: ReadonlySet<number> | undefined;
  let events = 0;
  let doubts: Doubt[] = [];
  const doubt = (position: Position, cause: unknown) => {
    if (isRefusal(cause)) throw cause;
    doubts.push({ position, cause });
  };
  const there = remote && {
    ...{ handler, remote, states, onFolded: folded, onFailed: doubt, readEntry: parts.readEntry },
    terms: { deadlineMs: parts.deadlineMs, source: sourceOf(broker.app, handler.name) },
  };

  function isOut({ event, position, storedMs }: Seen): boolean {
    if (expired?.has(position.seq)) return true;
    if (standings.get(position.seq)?.kind === "discarded") return true;
    // Its age is that of the day it came: what was young enough then was folded.
    return expiryOf(event, storedMs, maxAgeMs, storedMs) !== undefined;
  }

  function folded({ seq }: Position): void {
    events++;
    const kind = standings.get(seq)?.kind;
    if (kind === "waiting" || kind === "dead") mended.add(seq);
  }

  function foldHere(projection: Projection, seen: Seen): void {
    try {
      const key = entryKey(projection, seen.event);
      const next = nextState(projection, seen.event, states.get(key));
      states.set(key, next, marksAfter(projection, next));
      folded(seen.position);
    } catch (cause) {
      doubt(seen.position, cause);
    }
  }

  async function look(
    chunk: readonly Delivery[],
    see: (d: Delivery) => Sighting | undefined,
    wanted?: Wanted,
  ) {
    const found: ToFold[] = [];
    for (const delivery of chunk) {
      if (wanted !== undefined && !wanted(delivery.seq)) continue;
      const sight = see(delivery);
      const away = sight?.kind === "event" && isAway(sight.event);
      if (away && remote !== undefined) throw cannotFold(handler, sight.position, outsideError());
      const seen = away ? await withData(broker, handler, sight) : sight;
      if (seen?.kind === "dead" && seen.reason !== "undecodable") doubt(seen.position, seen.cause);
      if (seen?.kind !== "event" || isOut(seen)) continue;
      if (remote === undefined) foldHere(declaration as Projection, seen);
      else found.push({ ...seen, delivery });
    }
    return found;
  }

  async function settleDoubts(): Promise<void> {
    const open = doubts;
    doubts = [];
    for (const { position, cause } of open) {
      const standing =
        standings.get(position.seq) ?? (await readStanding(broker.nc, place, position));
      if (standing !== undefined && standing.kind !== "done") continue; // the entries lack it
      throw cannotFold(handler, position, cause);
    }
  }

  return {
    async read(from, to, repeatOf, wanted) {
      expired ??= await readExpired(broker, handler.name);
      standings = await readStandings(broker, place);
      const see = createSight(handler, broker.home, repeatOf);
      const range = { stream: broker.home, filter: filterOf(handler), from, to };
      for await (const chunk of readRange(broker, range)) {
        signal.throwIfAborted();
        const found = await look(chunk, see, wanted);
        if (there !== undefined) await foldRemotely(there, found);
        if (doubts.length > 0) await settleDoubts();
        parts.onRead(chunk.at(-1)?.seq ?? to, events);
        await new Promise((resolve) => setImmediate(resolve));
      }
      signal.throwIfAborted();
      parts.onRead(to, events);
    },
    states,
    mended,
    get events() {
      return events;
    },
  };
}

const refusals = new Set(["EDDY_REBUILD_FAILED", "EDDY_REBUILD_TOO_LARGE"]);

/** Not of one event: of the rebuild. */
function isRefusal(cause: unknown): boolean {
  return cause instanceof EddyError && refusals.has(cause.code);
}

function outsideError(): Error {
  return new Error("its data is outside of its message, and the handler has a thread of its own");
}

function cannotFold({ name }: Handler, position: Position, cause: unknown): EddyError {
  const at = positionText(position);
  const text =
    `projection ${name} was not rebuilt: its new version cannot fold the event at ${at}: ${describeThrown(cause).message}. ` +
    "The entries have it, and are as they were. Mend `apply`, and ask again";
  return new EddyError("EDDY_REBUILD_FAILED", text, { projection: name, position: at }, { cause });
}
