// A version of a handler over events of the past, without a ledger: what came of each, as data. For replay, for the
// comparison of two versions, and for the check before a reload.
// R1 Nothing is emitted: effects are handed back as they could be committed, those that are too large with a reference to
// their data, which is stored only where whoever asks stores them. R2 Events of a key run one after the other, keys
// side by side. R3 A failing event stops nothing. R4 Age counts for nothing: all of the past is old.
import assert from "node:assert/strict";
import { type Handler, Permanent, type Projection } from "../../authoring/index.ts";
import type { BatchMessage, Broker } from "../../broker/index.ts";
import {
  type CloudEvent,
  describeThrown,
  EddyError,
  keyOf,
  type Position,
} from "../../events/index.ts";
import { allFit, type StoreOutside, withoutLarge } from "../away/store.ts";
import { effectOf } from "../effect.ts";
import type { FindEntries } from "../find.ts";
import { entryKey, marksAfter, nextState } from "../fold.ts";
import { runReaction, type Terms } from "../handle.ts";
import { createLanes } from "../lanes.ts";
import type { Seen, SeenJob } from "../log/read-log.ts";
import type { ReadEntry } from "../read-entry.ts";
import { type NextEntry, type RemoteCall, remoteOf } from "../remote.ts";
import { createStopping } from "../stopping.ts";

export interface Failure {
  /** An `EDDY_…` code, or the name of what was thrown. */
  readonly code: string;
  readonly message: string;
}

/** What came of an event. */
export type Rerun = { readonly position: Position; readonly event?: CloudEvent } & (
  | { readonly kind: "ran"; readonly emitted: readonly BatchMessage[] }
  | {
      readonly kind: "folded";
      readonly key: string;
      readonly state: unknown;
      /** What stores it, where it is to be stored. */
      readonly message?: BatchMessage | undefined;
    }
  | ({ readonly kind: "failed" } & Failure)
  | { readonly kind: "duplicate" | "filtered" | "otherKey" }
);

/** The entries that a projection folds into. */
export interface States {
  known(key: string): { readonly state: unknown } | undefined;
  read(key: string): Promise<unknown>;
  /** null removes it; gives what stores it, if anything does. Throws for a state that cannot be stored. */
  put(key: string, next: unknown, marks: string): BatchMessage | undefined;
}

export interface RerunParts {
  readonly handler: Handler;
  readonly terms: Terms;
  /** For `ctx.get`. */
  readonly readEntry: ReadEntry;
  readonly findEntries: FindEntries;
  readonly states: States;
  readonly broker: Broker;
  /** Where effects that are too large are to be stored. */
  readonly storeOutside: StoreOutside;
  /** Only events of this ordering key, or of this entry. */
  readonly key?: string;
}

export interface Reruns {
  /** Runs them all; what came of each, in their order. */
  run(seen: readonly Seen[]): Promise<Rerun[]>;
  /** What still runs is cut off. */
  stop(): void;
}

/** Events of so many keys run at once. */
const laneWidth = 64;

/** An event, and where it stands. */
interface At {
  readonly position: Position;
  readonly event: CloudEvent;
}

interface Turn {
  readonly at: number;
  readonly job: SeenJob;
  readonly key: string;
}

export function createReruns(parts: RerunParts): Reruns {
  const { handler, terms, readEntry, findEntries, states } = parts;
  const { declaration } = handler;
  const remote = remoteOf(handler);
  const stopping = createStopping();
  const around = { report: () => {}, readEntry, findEntries, stopping };
  const callOf = (job: RemoteCall["job"]): RemoteCall => ({
    ...{ job, terms, readEntry, findEntries },
  });

  function laneOf(job: SeenJob): string | Promise<string> {
    if (declaration.kind === "reaction") return keyOf(job.event);
    if (remote !== undefined) return remote.key(callOf(job));
    return entryKey(declaration, job.event);
  }

  function attempt(turn: Turn): Rerun | Promise<Rerun> {
    const { job, key } = turn;
    const at = { position: job.position, event: job.event };
    if (declaration.kind === "projection") {
      const known = states.known(key);
      if (known === undefined || remote !== undefined) return foldLater(turn, known);
      return folded(turn, next(declaration, job.event, known.state));
    }
    if (remote !== undefined) return remote.run(callOf(job)).then((emitted) => ran(at, emitted));
    const result = runReaction(declaration, job, terms, around);
    if (result instanceof Promise) return result.then((later) => ended(at, later));
    return ended(at, result);
  }

  async function foldLater(turn: Turn, known: ReturnType<States["known"]>): Promise<Rerun> {
    const state = known === undefined ? await states.read(turn.key) : known.state;
    if (remote !== undefined) return folded(turn, await remote.apply(callOf(turn.job), state));
    if (declaration.kind !== "projection") throw new RangeError("bug: only projections fold");
    return folded(turn, next(declaration, turn.job.event, state));
  }

  function folded({ job, key }: Turn, { state, marks }: NextEntry): Rerun {
    const message = states.put(key, state, marks);
    return { position: job.position, event: job.event, kind: "folded", key, state, message };
  }

  function ended(at: At, result: Awaited<ReturnType<typeof runReaction>>): Rerun | Promise<Rerun> {
    if (result.kind === "threw") throw result.error;
    return ran(at, result.emitted.map(effectOf));
  }

  function ran(at: At, emitted: readonly BatchMessage[]): Rerun | Promise<Rerun> {
    if (allFit(parts, emitted)) return { ...at, kind: "ran", emitted };
    return ranLarge(at, emitted);
  }

  async function ranLarge(at: At, all: readonly BatchMessage[]): Promise<Rerun> {
    const emitted: BatchMessage[] = [];
    for (const effect of all)
      emitted.push(await withoutLarge(parts.broker, handler.name, effect, parts.storeOutside));
    return { ...at, kind: "ran", emitted };
  }

  async function turnOf({ sighting, job }: Seen, at: number): Promise<Turn | Rerun> {
    const { position } = sighting;
    if (sighting.kind === "dead") return { position, kind: "failed", ...failureOf(sighting.cause) };
    assert(job !== undefined, "bug: an event without a job");
    const { event } = job;
    if (sighting.kind !== "event") return { position, event, kind: sighting.kind };
    try {
      const lane = laneOf(job);
      const key = typeof lane === "string" ? lane : await lane;
      return parts.key === undefined || key === parts.key
        ? { at, job, key }
        : { position, event, kind: "otherKey" };
    } catch (error) {
      return { position, event, kind: "failed", ...failureOf(error) };
    }
  }

  return {
    async run(seen) {
      const turns = await Promise.all(seen.map(turnOf));
      const results: Rerun[] = turns.map((turn) => ("kind" in turn ? turn : pending));
      await inLanes(
        turns.filter((turn): turn is Turn => !("kind" in turn)),
        attempt,
        (turn, result) => {
          results[turn.at] = result;
        },
      );
      return results;
    },
    stop: () => stopping.cutOff(),
  };
}

const pending: Rerun = { position: { stream: "", seq: 0 }, kind: "filtered" };

/** Gives each its turn; resolves once all have a result. */
function inLanes(
  turns: readonly Turn[],
  attempt: (turn: Turn) => Rerun | Promise<Rerun>,
  onResult: (turn: Turn, result: Rerun) => void,
): Promise<void> {
  return new Promise((resolve) => {
    let left = turns.length;
    const lanes = createLanes<Turn>(laneWidth, (turn) => {
      const end = (result: Rerun) => {
        onResult(turn, result);
        lanes.leave(turn.key);
        if (--left === 0) resolve();
      };
      const fail = (error: unknown) => {
        const { position, event } = turn.job;
        end({ position, event, kind: "failed", ...failureOf(error) });
      };
      try {
        const result = attempt(turn);
        if (result instanceof Promise) result.then(end, fail);
        else end(result);
      } catch (error) {
        fail(error);
      }
    });
    if (left === 0) resolve();
    for (const turn of turns) lanes.enter(turn.key, turn);
  });
}

const messageCharsMax = 500;

/** What was thrown, by its code. */
function failureOf(thrown: unknown): Failure {
  const cause =
    thrown instanceof Permanent && thrown.cause instanceof EddyError ? thrown.cause : thrown;
  const { code, name, message } = describeThrown(cause);
  return { code: code ?? name.slice(0, 100), message: message.slice(0, messageCharsMax) };
}

/** Entries in memory: the removed ones too, as undefined. From nothing, or from what `initial` says. */
export function statesInMemory(
  initial: (key: string) => Promise<unknown> = async () => undefined,
): States & { readonly entries: ReadonlyMap<string, unknown> } {
  const entries = new Map<string, unknown>();
  return {
    entries,
    known: (key) => (entries.has(key) ? { state: entries.get(key) } : undefined),
    read: initial,
    put(key, next) {
      checkStorable(key, next);
      entries.set(key, next === null ? undefined : next);
      return undefined;
    },
  };
}

// As strict as where entries are stored: what could not be is a letter there.
function checkStorable(key: string, next: unknown): void {
  try {
    if (JSON.stringify(next) !== undefined) return;
  } catch {
    // said below: a cycle or a BigInt
  }
  const name = JSON.stringify(key.slice(0, 100));
  throw new Permanent(`the state of ${name} is no JSON value. The entry is unchanged`);
}

function next(projection: Projection, event: CloudEvent, before: unknown): NextEntry {
  const state = nextState(projection, event, before);
  return { state, marks: marksAfter(projection, state) };
}
