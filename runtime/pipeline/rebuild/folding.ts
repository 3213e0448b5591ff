// Folding messages of the log into states in memory, by one version of a projection. Stores nothing.
// F1 An event that this version cannot fold, and that has no letter of its own, ends the rebuild: it would lose what the
// entries have of it. F2 What expired or was discarded is not folded; what waits or is dead is, and is told.
import { type Handler, type Projection, parseDuration } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import {
  describeThrown,
  EddyError,
  isAway,
  type Position,
  positionText,
} from "../../events/index.ts";
import { expiryOf } from "../expiry.ts";
import { entryKey, marksAfter, nextState } from "../fold.ts";
import type { Place } from "../ledger/place.ts";
import { withData } from "../log/read-log.ts";
import type { Logged, Sighting } from "../log/sight.ts";
import type { ReadEntry } from "../read-entry.ts";
import { remoteOf } from "../remote.ts";
import { readStanding } from "../retry/standing.ts";
import { sourceOf } from "../terms.ts";
import { foldRemotely, type ToFold } from "./fold-remotely.ts";
import {
  type Expired,
  readExpired,
  readStandings,
  type Standings,
  standingAt,
} from "./standings.ts";
import { createStates, type States } from "./states.ts";

export interface FoldingParts {
  readonly broker: Broker;
  readonly handler: Handler;
  readonly place: Place;
  readonly deadlineMs: number;
  readonly readEntry: ReadEntry;
}

export interface Folding {
  /** Looks up what became of events of these streams beside the fast way. */
  lookAside(streams: readonly string[]): Promise<void>;
  take(messages: readonly Logged[], see: See): Promise<void>;
  /** Brings what was taken to its end. */
  settle(): Promise<void>;
  readonly states: States;
  /** Positions that wait for a retry or are dead, and were folded here. */
  readonly mended: readonly Position[];
  /** How many events were folded. */
  readonly events: number;
}

export type See = (message: Logged) => Sighting | undefined;
type Seen = Extract<Sighting, { kind: "event" }>;

/** An event that could not be folded. */
interface Doubt {
  readonly position: Position;
  readonly cause: unknown;
}

export function createFolding(parts: FoldingParts): Folding {
  const { broker, handler, place } = parts;
  const { declaration } = handler;
  if (declaration.kind !== "projection") throw new RangeError("only a projection has a past");
  const states = createStates(handler.name);
  const mended: Position[] = [];
  const maxAgeMs = parseDuration(declaration.options.maxAge);
  const remote = remoteOf(handler);
  let standings: Standings = new Map();
  let expired: Expired | undefined;
  let events = 0;
  let doubts: Doubt[] = [];
  let elsewhere: ToFold[] = []; // for the thread of the module
  const doubt = (position: Position, cause: unknown) => {
    if (isRefusal(cause)) throw cause;
    doubts.push({ position, cause });
  };
  const there = remote && {
    ...{ handler, remote, states, onFolded: folded, onFailed: doubt, readEntry: parts.readEntry },
    terms: { deadlineMs: parts.deadlineMs, source: sourceOf(broker.app, handler.name) },
  };

  function isOut({ event, position, storedMs }: Seen): boolean {
    if (expired?.get(position.stream)?.has(position.seq)) return true;
    if (standingAt(standings, position)?.kind === "discarded") return true;
    // Its age is that of the day it came: what was young enough then was folded.
    return expiryOf(event, storedMs, maxAgeMs, storedMs) !== undefined;
  }

  function folded(position: Position): void {
    events++;
    const kind = standingAt(standings, position)?.kind;
    if (kind === "waiting" || kind === "dead") mended.push(position);
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

  async function settleDoubts(): Promise<void> {
    const open = doubts;
    doubts = [];
    for (const { position, cause } of open) {
      const standing =
        standingAt(standings, position) ?? (await readStanding(broker.nc, place, position));
      if (standing !== undefined && standing.kind !== "done") continue; // the entries lack it
      throw cannotFold(handler, position, cause);
    }
  }

  return {
    async lookAside(streams) {
      expired ??= await readExpired(broker, handler.name);
      standings = await readStandings(broker, place, streams);
    },
    async take(messages, see) {
      for (const message of messages) {
        const sight = see(message);
        const away = sight?.kind === "event" && isAway(sight.event);
        if (away && remote !== undefined) throw cannotFold(handler, sight.position, outsideError());
        const seen = away ? await withData(broker, handler, sight) : sight;
        if (seen?.kind === "dead" && seen.reason !== "undecodable")
          doubt(seen.position, seen.cause);
        if (seen?.kind !== "event" || isOut(seen)) continue;
        if (remote === undefined) foldHere(declaration as Projection, seen);
        else elsewhere.push({ ...seen, message });
      }
    },
    async settle() {
      const all = elsewhere;
      elsewhere = [];
      if (there !== undefined) await foldRemotely(there, all);
      if (doubts.length > 0) await settleDoubts();
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
