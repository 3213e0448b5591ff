// What the stages of one handler share while one instance runs it.
import type { Handler } from "../authoring/index.ts";
import type { BatchMessage, Broker } from "../broker/index.ts";
import type { CloudEvent, Position, Token } from "../events/index.ts";
import type { Committer } from "./commit.ts";
import type { Gate } from "./crashes/gate.ts";
import type { Predecessor } from "./crashes/suspects.ts";
import type { Entries } from "./entries.ts";
import type { Surroundings } from "./handle.ts";
import type { Standing } from "./ledger/counts.ts";
import type { Ledger } from "./ledger/ledger.ts";
import type { DeadReason, Verdict } from "./outcome.ts";
import type { Attempt, ErrorFacts, Original } from "./retry/parcel.ts";

/** Defaults of handlers that declare nothing else. */
export interface Defaults {
  readonly deadlineMs: number;
  readonly delaysMs: readonly number[];
  /** 0 to 1. */
  readonly jitter: number;
  /** How often the process may die while one event runs. */
  readonly deathsMax: number;
  /** How long the home stream keeps events at least, ms. */
  readonly retentionMs: number;
  /** How long the compacted home shows that an entity was deleted, ms. */
  readonly tombstoneMs: number;
}

/** What the stages know of processes that ended without a stop. */
export interface Crashes {
  readonly instance: string;
  readonly deathsMax: number;
  /** Shared by all handlers of the process. */
  readonly gate: Gate;
  /** The instance that held the ledger before this one. */
  readonly before?: Predecessor;
}

export interface Scope {
  readonly broker: Broker;
  readonly around: Surroundings;
  readonly defaults: Defaults;
  readonly crashes: Crashes;
  readonly ledger: Ledger;
  readonly committer: Committer;
  /** A projection's entries; absent for a reaction. */
  readonly entries?: Entries;
  /** Keys that wait for one of their events; absent where the handler asks for no order and left none. */
  held?: HeldKeys;
  /** The version that the next event meets. */
  handler(): Handler;
  /** The highest sequence of the input that has arrived here; what stands below it was stored before. */
  arrived?: number;
  /** Makes the runtime's streams where they are gone. */
  ensureStreams(): Promise<void>;
  /** A thrown thing as bounded facts, its stack in terms of the handler's source. */
  explain(thrown: unknown): ErrorFacts;
  /** False once the session is over: results that come later change nothing. */
  alive(): boolean;
}

/** The keys of one handler that one of their events holds, while one instance runs it. */
export interface HeldKeys {
  /** An event's way into the lane of its key, where it runs, or is parked behind the event that holds the key. */
  enter(job: EventJob): void;
  /** Opens the lanes. */
  begin(session: HeldSession): void;
  /** What was held when the session began and is not any more goes on; not before the suspects of a crash were tried. */
  goOn(): void;
  /** What a verdict makes of its key: done in memory, and as a message for the verdict's own unit. */
  settle(job: Job, verdict: Verdict): HeldChange | undefined;
  /** The key of an event that is dead, also where it came to no lane; empty where it has none. */
  keyOf(job: Job, reason: DeadReason): string;
  /** Lets a key go that this event holds; resolves once that is stored, or needs not be. */
  release(lane: Token, by: Position): Promise<void>;
  /** Stores again what stands below a sequence of the home stream. The sequence below which nothing is needed. */
  keepAbove(seq: number): Promise<number>;
  /** Keys that are held, or go on. */
  readonly size: number;
  /** What waits or runs in the lanes. */
  readonly occupied: number;
  /** Starts nothing any more; what runs finishes. */
  stop(): void;
}

/** A change of a held key, in the unit of the verdict that caused it. */
export interface HeldChange {
  readonly message: BatchMessage;
  onStored(): void;
  /** The unit is not stored: the key is what it was. */
  onRefused(): void;
}

/** What the lanes of an ordered handler need of their session. */
export interface HeldSession {
  readonly laneWidth: number;
  /** Nothing waits or runs in the lanes any more. */
  left(): void;
  /** Work outside of lanes, now or when there is room. */
  outside(work: () => Promise<void>): void;
}

/** One event on its way through a handler. */
export interface Job {
  /** The version that runs it, or ran it last. */
  handler: Handler;
  readonly position: Position;
  /** The message as it stands in the stream: what is packed when the event leaves the fast way. */
  readonly original: Original;
  /** Absent where the message is no event. */
  readonly event: CloudEvent | undefined;
  /** Its lane; empty before it has one. */
  key: string;
  /** The attempt that runs now, 1 for the first. */
  readonly attempt: number;
  readonly attempts: readonly Attempt[];
  /** Runs before this one that were none: it had to wait. */
  readonly postponed?: number;
  /** Where it stood in the counts before. */
  readonly from: Standing;
  /** An operator gave it back: it runs however old it is. */
  readonly anyAge?: true;
  /** The floor's slot, where it came from the stream. */
  readonly slot: number | undefined;
  readonly beganMs: number;
  /** The outcome is stored: what brought an event back may go. */
  readonly onStored: (() => void) | undefined;
}

/** A job whose message is an event. */
export interface EventJob extends Job {
  readonly event: CloudEvent;
}

/** The number of the run that follows, by which retry and standing find each other. */
export function nextRun({ attempt, postponed = 0 }: Job): number {
  return attempt + postponed + 1;
}

export function hasEvent(job: Job): job is EventJob {
  return job.event !== undefined;
}
