// What a handler can do and know besides its event. Types only; the pipeline makes the contexts.
import type { DataOf, EventType } from "./event-type.ts";
import type { AnyProjection, StateOf } from "./projection.ts";

/** Where an emitted event differs from the defaults. */
export interface EmitOptions {
  /** CloudEvents `subject`. Default: that of the event being handled. */
  readonly subject?: string;
  /** Ordering key (extension `partitionkey`). Default: that of the event being handled. */
  readonly key?: string;
  /** `datacontenttype`. Default `application/json`; `application/msgpack` is smaller. */
  readonly datacontenttype?: string;
  /** Further extension attributes. */
  readonly extensions?: Readonly<Record<string, string | number | boolean>>;
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
  /** The entry of a projection, or undefined where there is none. */
  get<P extends AnyProjection>(projection: P, key: string): Promise<StateOf<P> | undefined>;
  /** Aborted at the handler's deadline and when the runtime has to stop. Pass it on to fetch and timers. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** 1 for the first attempt. */
  readonly attempt: number;
}
