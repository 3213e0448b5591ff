// What a test of handlers may do with a harness, and see. Types only.
import type {
  AnyProjection,
  DataOf,
  EventOf,
  EventType,
  Log,
  StateOf,
} from "../authoring/index.ts";
import type { CloudEvent } from "../events/index.ts";
import type { Verdict } from "./attempt.ts";

/** The attributes of a published event; each has a default. */
export interface PublishOptions {
  /** Default: a new one. The same `source` and `id` again is the same event again. */
  readonly id?: string;
  /** Default `/test`. */
  readonly source?: string;
  readonly subject?: string;
  /** Ordering key (extension `partitionkey`). */
  readonly key?: string;
  readonly datacontenttype?: string;
  /** Default: the test's now. */
  readonly time?: Date;
  /** When it is of no use any more (extension `expirytime`). */
  readonly expiryTime?: Date;
  /** Handlers of this event see `ctx.replaying`, as if the past was run again; those of what they emit do not. */
  readonly replaying?: boolean;
}

export interface Harness {
  /**
   * Stores an event and follows it, and what is emitted because of it, to the end. What is to be retried waits
   * for `settle`. Data that breaks the schema is stored too, as in the runtime: it is the handler that refuses it.
   */
  publish<E extends EventType>(
    type: E,
    data: DataOf<E>,
    options?: PublishOptions,
  ): Promise<CloudEvent>;
  /** Runs all retries in the order of their due times, until none is left. */
  settle(): Promise<void>;
  /** The events of this type that handlers have emitted, oldest first. */
  emitted<E extends EventType>(type: E): readonly EventOf<E>[];
  /** The entry of a projection, or undefined where there is none. */
  entry<P extends AnyProjection>(projection: P, key: string): StateOf<P> | undefined;
  /** All entries of a projection by key. */
  entries<P extends AnyProjection>(projection: P): ReadonlyMap<string, StateOf<P>>;
  /** What became of each event for each handler, an element for each attempt. */
  readonly outcomes: readonly Observed[];
  /** What handlers wrote to `ctx.log`. */
  readonly logs: readonly LoggedLine[];
}

/** What an attempt came to, and of what: handled, duplicate, filtered, expired, retry or dead. */
export type Observed = Verdict & {
  readonly handler: string;
  readonly event: CloudEvent;
  /** 1 for the first. */
  readonly attempt: number;
};

export interface LoggedLine {
  readonly level: keyof Log;
  readonly handler: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}
