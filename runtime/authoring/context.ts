// What a handler can do and know besides its event. Types only; the pipeline makes the contexts.
import type { CloudEvent, Position } from "../events/index.ts";
import type { DataOf, EventType } from "./event-type.ts";
import type { Conditions } from "./indexes.ts";
import type { AnyProjection, StateOf } from "./projection.ts";

/** Where an emitted event differs from the defaults. */
export interface EmitOptions {
  /** CloudEvents `subject`. Default: that of the event being handled. */
  readonly subject?: string;
  /** Ordering key (extension `partitionkey`). Default: a state event's own key, else that of the event being handled. */
  readonly key?: string;
  /** `datacontenttype`. Default `application/json`; `application/msgpack` is smaller. */
  readonly datacontenttype?: string;
  /** Further extension attributes. */
  readonly extensions?: Readonly<Record<string, string | number | boolean>>;
}

export interface GetOptions {
  readonly after?: CloudEvent;
}

/** What a projection says of a key, and how much of the world it reflects. */
export interface Read<State> {
  /** undefined: there is no entry. */
  readonly value: State | undefined;
  /** Every event of the projection up to here is reflected; undefined where nobody can tell, as before it has run. */
  readonly position: Position | undefined;
  /**
   * For how long something may be missing, in ms. Of a read from the server: since when the oldest event that is not folded
   * is stored. Of a local one: since when the bucket has not been heard of, which is below 2 s while the server is reachable.
   */
  readonly ageMs: number | undefined;
}

export interface FindOptions {
  /** Most entries to give, up to 1,000. Default 100. */
  readonly limit?: number;
  /** Only entries whose key is behind this one: `next` of the page before. */
  readonly after?: string;
  /** Only entries whose key begins so. */
  readonly prefix?: string;
}

/** Entries by key, in the order of their keys. */
export interface Found<State> {
  readonly entries: readonly { readonly key: string; readonly value: State }[];
  /** The `after` of the next page, where there is one. */
  readonly next?: string;
}

/** One line in the runtime's log, with handler, event and version added. */
export type LogLine = (message: string, facts?: Readonly<Record<string, unknown>>) => void;

export interface Log {
  readonly debug: LogLine;
  readonly info: LogLine;
  readonly warn: LogLine;
  readonly error: LogLine;
}

export interface Context<Emits extends EventType = EventType> {
  /**
   * Adds an event to this event's effects. Effects are stored when the handler returns, all or none, in one
   * batch with the record that it is done; where it throws, none is.
   * @throws EddyError `EDDY_EMIT_UNDECLARED` for a type that is not in `emits`, `EDDY_EMIT_INVALID` for data
   * that breaks its schema. Both make the event a dead letter.
   */
  emit<E extends Emits>(type: E, data: DataOf<E>, options?: EmitOptions): void;
  /**
   * The entry of a projection, or undefined where there is none. A projection follows its events at its own pace: with
   * `after`, the event being handled, the read waits until the projection has folded it (or does not read its type).
   * @throws EddyError `EDDY_GET_AFTER` for any other event, `EDDY_PROJECTION_BEHIND` where the handler's deadline comes
   * before, `EDDY_PROJECTION_LACKS` where the event is dead in the projection. The event is tried again.
   */
  get<P extends AnyProjection>(
    projection: P,
    key: string,
    options?: GetOptions,
  ): Promise<StateOf<P> | undefined>;
  /** The same, with the position that the value reflects and its age. A local read needs no request for that. */
  read<P extends AnyProjection>(
    projection: P,
    key: string,
    options?: GetOptions,
  ): Promise<Read<StateOf<P>>>;
  /**
   * Entries of a projection by its indexes: `ctx.find(customers, { city: "Bern" })`. All values have to fit; none at all
   * finds every entry. What is written between two pages shifts nothing: an entry that is there all the time comes once.
   * @throws EddyError `EDDY_INDEX_UNKNOWN`, `EDDY_INDEX_INCOMPLETE` where not all entries have the index yet. The event is
   * tried again.
   */
  find<P extends AnyProjection>(
    projection: P,
    where: Conditions<P>,
    options?: FindOptions,
  ): Promise<Found<StateOf<P>>>;
  /** Aborted at the handler's deadline and when the runtime has to stop. Pass it on to fetch and timers. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /**
   * True where the past is run again: `eddy replay`, a comparison of versions, the check before a reload. What reaches the
   * world by other ways than `emit` belongs behind it: `if (!ctx.replaying) await sendMail(…)`.
   */
  readonly replaying: boolean;
}
