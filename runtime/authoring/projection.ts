// `projection`: the declaration of a compacted view, folded from events (event-carried state transfer).
import type { Static, TSchema } from "typebox";
import { areCompacted } from "./carries.ts";
import { declared, nonsense } from "./declaration.ts";
import type { DataOf, EventOf, EventType } from "./event-type.ts";
import { checkIndexes, type IndexOf } from "./indexes.ts";
import { checkLocal, type Local } from "./local.ts";
import type { Matcher } from "./matcher.ts";
import { checkEventTypes, checkOptions, type HandlerOptions, matcherOf } from "./options.ts";
import type { Pattern } from "./where.ts";

type Intersection<Union> = (Union extends unknown ? (value: Union) => void : never) extends (
  value: infer All,
) => void
  ? All
  : never;

/** The state where no schema of it is given: what the events carry, put together. */
export type Merged<From extends EventType> = Partial<Intersection<DataOf<From>>>;

export interface ProjectionOptions<Data = Pattern> extends HandlerOptions<Data> {
  /**
   * Where `from`, `key`, `apply`, `where` or `state` has changed: all events are folded anew by the new version, while the old one
   * goes on; then it takes over in one step. Default: the new version goes on with the entries that are there, and the log
   * says so.
   */
  readonly rebuild?: "auto";
  /**
   * Further streams that hold its events, beside the home stream: a mirror of a hub's, or somebody else's. They are read and
   * never written, and have the home stream's subjects. It keeps its position in each. The order of a key holds within a stream,
   * and an event's identity is known per stream: one that stands in two is folded twice.
   */
  readonly streams?: readonly string[];
}

export interface ProjectionSpec<From extends EventType, State, Data = Pattern>
  extends ProjectionOptions<Data> {
  readonly from: readonly From[];
  /** The entry that an event belongs to. Events of one entry are folded one after the other. */
  readonly key: (event: EventOf<From>) => string;
  /** The entry's next state; null removes it (a tombstone). Pure: it runs again in a rebuild. */
  readonly apply: (state: State | undefined, event: EventOf<From>) => State | null;
  /**
   * Keeps entries in each process whose handlers read them: all, or so many of those that were read last. Reads then cost
   * microseconds and work without a server, and show what was stored moments ago; their values are frozen. Default: none.
   */
  readonly local?: Local;
}

/** By what entries are found besides their key: `{ city: (state) => state.city }`. Entries that were folded before an
 * index was declared, or changed, are as they were until they are folded again, or the projection is rebuilt. */
export interface Indexed<State, Index extends string> {
  readonly indexes?: Readonly<Record<Index, IndexOf<State>>>;
}

/** A declared projection; its entries live in the KV bucket of its name. */
export interface Projection<
  From extends EventType = EventType,
  State = unknown,
  Index extends string = string,
> {
  readonly kind: "projection";
  readonly name: string;
  readonly from: readonly From[];
  readonly options: ProjectionOptions;
  /** The options' `where`; undefined where all events are taken. */
  readonly matches: Matcher | undefined;
  /** Schema of the state, where one was given. */
  readonly state?: TSchema;
  readonly local?: Local;
  readonly indexes: readonly Index[];
  // Methods, so that a projection of narrower events is still a Projection.
  key(event: EventOf<From>): string;
  apply(state: State | undefined, event: EventOf<From>): State | null;
  /** What one of its indexes makes of a state: whatever the author's function returns. */
  valuesIn(index: Index, state: State): unknown;
}

/** What `ctx.get` takes: the name, what is kept of it, and the type of the state in the type system only. */
export interface AnyProjection {
  readonly kind: "projection";
  readonly name: string;
  readonly local?: Local;
  apply(state: never, event: never): unknown;
}

export type StateOf<P extends AnyProjection> = Exclude<ReturnType<P["apply"]>, null>;

/**
 * Declares a projection. With `state` its type is the schema's, and each next state is checked against it;
 * without, it is what the events carry, put together.
 * @throws EddyError `EDDY_DECLARATION` where the declaration cannot mean anything.
 */
export function projection<
  From extends EventType,
  Schema extends TSchema,
  Index extends string = never,
>(
  name: string,
  spec: ProjectionSpec<From, Static<Schema>, Pattern<DataOf<From>>> &
    Indexed<Static<Schema>, Index> & { readonly state: Schema },
): Projection<From, Static<Schema>, Index>;
export function projection<From extends EventType, Index extends string = never>(
  name: string,
  spec: ProjectionSpec<From, Merged<From>, Pattern<DataOf<From>>> & Indexed<Merged<From>, Index>,
): Projection<From, Merged<From>, Index>;
export function projection<From extends EventType, State, Index extends string>(
  name: string,
  spec: ProjectionSpec<From, State> & Indexed<State, Index> & { readonly state?: TSchema },
): Projection<From, State, Index> {
  if (typeof name !== "string" || !/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    throw nonsense(
      `projection(name, …): a name is 1 to 64 of A-Z a-z 0-9 _ -, got ${JSON.stringify(name)}`,
    );
  }
  const what = `projection("${name}")`;
  if (spec === null || typeof spec !== "object")
    throw nonsense(`${what}: the second argument must be an object`);
  const { from, key, apply, state, local, indexes, ...options } = spec;
  if (!Array.isArray(from)) throw nonsense(`${what}: from must be a list of event types`);
  checkEventTypes(what, "from", from);
  if (typeof key !== "function") throw nonsense(`${what}: key must be a function of the event`);
  if (typeof apply !== "function")
    throw nonsense(`${what}: apply must be a function of state and event`);
  checkOptions(what, options);
  if (options.rebuild !== undefined && options.rebuild !== "auto")
    throw nonsense(`${what}: rebuild must be "auto", or left out, got ${String(options.rebuild)}`);
  checkStreams(what, options.streams);
  if (options.start === "state" && !areCompacted(from)) {
    throw nonsense(
      `${what}: start: "state" begins with the compacted home, which not all types in from have; add stream: "STATE" to them`,
    );
  }
  if (options.start === "state" && options.streams !== undefined) {
    throw nonsense(
      `${what}: start: "state" begins with the compacted home, which has the home stream's events and not those of other streams; leave it out`,
    );
  }
  checkLocal(what, local);
  checkIndexes(what, indexes);
  return declared({
    kind: "projection",
    ...{ name, from, options, key, apply },
    matches: matcherOf(options),
    indexes: Object.keys(indexes ?? {}) as Index[],
    valuesIn: (index: Index, given: State) => indexes?.[index](given),
    ...(state === undefined ? {} : { state }),
    ...(local === undefined ? {} : { local }),
  });
}

const streamsMax = 8;

function checkStreams(what: string, streams: unknown): void {
  if (streams === undefined) return;
  const names: readonly unknown[] = Array.isArray(streams) ? streams : [];
  const legal = names.every(
    (name) => typeof name === "string" && /^[^\s.*>/\\]{1,255}$/.test(name),
  );
  if (names.length === 0 || names.length > streamsMax || !legal) {
    throw nonsense(
      `${what}: streams must be 1 to ${streamsMax} names of streams such as ["HUB"], got ${JSON.stringify(streams)}`,
    );
  }
  if (new Set(names).size < names.length) throw nonsense(`${what}: streams names a stream twice`);
}
