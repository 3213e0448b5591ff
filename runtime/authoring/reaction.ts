// `on`: the declaration of a reaction, whose effects go to the home stream.
import type { Context } from "./context.ts";
import { declared, nonsense } from "./declaration.ts";
import type { Enrichment } from "./enrichment.ts";
import type { DataOf, EventOf, EventType } from "./event-type.ts";
import type { Matcher } from "./matcher.ts";
import {
  checkEventTypes,
  checkOptions,
  type HandlerOptions,
  listOf,
  matcherOf,
} from "./options.ts";
import type { Pattern } from "./where.ts";

export interface ReactionOptions<Emits extends EventType = EventType, Data = Pattern>
  extends HandlerOptions<Data> {
  /** The event types it may emit. What is not listed is refused. */
  readonly emits?: readonly Emits[];
}

/** A declared reaction. */
export interface Reaction<From extends EventType = EventType, Emits extends EventType = EventType> {
  readonly kind: "reaction";
  readonly from: readonly From[];
  readonly emits: readonly Emits[];
  readonly options: HandlerOptions<Pattern>;
  /** The options' `where`; undefined where all events are taken. */
  readonly matches: Matcher | undefined;
  /** How its source is asked, where `enrich` declared it. */
  readonly enrichment?: Enrichment;
  // A method, so that a reaction to a narrower event is still a Reaction.
  run(event: EventOf<From>, context: Context<Emits>): unknown;
}

type Run<From extends EventType, Emits extends EventType> = (
  event: EventOf<From>,
  context: Context<Emits>,
) => void | Promise<void>;

/**
 * Declares a reaction to one or several event types.
 * @throws EddyError `EDDY_DECLARATION` where the declaration cannot mean anything.
 */
export function on<From extends EventType>(
  from: From | readonly From[],
  run: Run<From, never>,
): Reaction<From, never>;
export function on<From extends EventType, Emits extends EventType = never>(
  from: From | readonly From[],
  options: ReactionOptions<Emits, Pattern<DataOf<From>>>,
  run: Run<From, Emits>,
): Reaction<From, Emits>;
export function on<From extends EventType, Emits extends EventType>(
  from: From | readonly From[],
  ...rest: [Run<From, Emits>] | [ReactionOptions<Emits>, Run<From, Emits>]
): Reaction<From, Emits> {
  const [options, run] = rest.length === 1 ? [{}, rest[0]] : rest;
  const types = listOf(from);
  checkEventTypes("on(from, …)", "from", types);
  const what = `on(${types.map((type) => type.type).join(", ")})`;
  if (typeof run !== "function")
    throw nonsense(`${what}: the last argument must be the handler's function`);
  if (options === null || typeof options !== "object")
    throw nonsense(`${what}: options must be an object`);
  const { emits = [], ...handlerOptions } = options;
  if (!Array.isArray(emits)) throw nonsense(`${what}: emits must be a list of event types`);
  if (emits.length > 0) checkEventTypes(what, "emits", emits);
  checkOptions(what, handlerOptions);
  if (handlerOptions.start === "state") {
    throw nonsense(
      `${what}: start: "state" is for a projection, which may begin twice; a reaction starts at "first", "now" or a Date`,
    );
  }
  const matches = matcherOf(handlerOptions);
  return declared({ kind: "reaction", from: types, emits, options: handlerOptions, matches, run });
}
