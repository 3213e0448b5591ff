// `enrich`: the declaration that a thin event is made a full one, by asking its source. A reaction whose function asks
// and emits; what the pipeline does beside that (one call for many notifications, bounds, a circuit) is said here as data.
import { describeThrown, EddyError, nameOf } from "../events/index.ts";
import { entityKeyOf, type FieldOf, fieldIn } from "./carries.ts";
import type { Context } from "./context.ts";
import { declared, nonsense } from "./declaration.ts";
import type { Duration } from "./duration.ts";
import { type Enrichment, enrichmentOf } from "./enrichment.ts";
import { type DataOf, type EventOf, type EventType, isEventType } from "./event-type.ts";
import { type HandlerOptions, listOf } from "./options.ts";
import { on, type Reaction } from "./reaction.ts";
import type { Pattern } from "./where.ts";

export interface EnrichOptions<From extends EventType = EventType>
  extends Omit<HandlerOptions<Pattern<DataOf<From>>>, "ordered" | "onDead"> {
  /**
   * The field of the thin event's data that names what is asked for. Default: the field that is the full event's key,
   * where thin events have it, else the event's ordering key.
   */
  readonly key?: FieldOf<DataOf<From>, string | number>;
  /** One call for each key in this time; what is notified meanwhile waits for the next one. Default 1 s, up to 1 h. */
  readonly share?: Duration;
  /** Calls side by side. Default 8, up to 256. */
  readonly concurrency?: number;
  /** Calls that begin within a time, such as `{ limit: 50, per: "1s" }`. Default: no limit. */
  readonly rate?: { readonly limit: number; readonly per: Duration };
}

/** What the function that asks can use. The signal is aborted at the deadline of a call. */
export type EnrichContext = Pick<Context, "signal" | "log">;

type Ask<From extends EventType, To extends EventType> = (
  event: EventOf<From>,
  context: EnrichContext,
) => DataOf<To> | Promise<DataOf<To>>;

/**
 * Declares that thin events are enriched: `ask` gets from the source what is true now, and that is emitted as `to`.
 * Notifications of one key that were known when a call began are answered by it, however many they are.
 * @throws EddyError `EDDY_DECLARATION` where the declaration cannot mean anything.
 */
export function enrich<From extends EventType, To extends EventType>(
  from: From | readonly From[],
  to: To,
  ask: Ask<From, To>,
): Reaction<From, To>;
export function enrich<From extends EventType, To extends EventType>(
  from: From | readonly From[],
  to: To,
  options: EnrichOptions<From>,
  ask: Ask<From, To>,
): Reaction<From, To>;
export function enrich<From extends EventType, To extends EventType>(
  from: From | readonly From[],
  to: To,
  ...rest: [Ask<From, To>] | [EnrichOptions<From>, Ask<From, To>]
): Reaction<From, To> {
  const [options, ask] = rest.length === 1 ? [{}, rest[0]] : rest;
  if (!isEventType(to)) throw nonsense("enrich(from, to, …): to must be the event type it emits");
  const what = `enrich(…, ${to.type})`;
  if (typeof ask !== "function")
    throw nonsense(`${what}: the last argument must be the function that asks the source`);
  if (options === null || typeof options !== "object")
    throw nonsense(`${what}: options must be an object`);
  for (const stray of ["ordered", "onDead", "emits"]) {
    if (!(stray in options)) continue;
    const why =
      stray === "emits"
        ? "it emits what it names"
        : "each answer is the latest truth, in any order";
    throw nonsense(`${what}: ${stray} is for on(…): ${why}`);
  }
  const { key, share, concurrency, rate, ...handlerOptions } = options;
  const types = listOf(from);
  const enrichment = enrichmentOf(what, types, to, { key, share, concurrency, rate });
  const reaction = on<From, To>(
    types,
    { ...handlerOptions, emits: [to] },
    async (event, context) => {
      const { signal, log } = context;
      emitAnswer(event, to, enrichment, context, await ask(event, { signal, log }));
    },
  );
  return declared({ ...reaction, enrichment });
}

/** Emits the answer. One that is no answer is the source's fault, which may be mended: the event is tried again. */
function emitAnswer<To extends EventType>(
  event: EventOf<EventType>,
  to: To,
  { key }: Enrichment,
  context: Context<To>,
  data: DataOf<To>,
): void {
  const about = entityKeyOf(to, data);
  const asked = key === undefined ? undefined : fieldIn(event.data, key);
  const named = to.options.carries === "state" && to.options.key === key;
  if (named && about !== undefined && about !== String(asked))
    throw lie(event, to, `it is about ${JSON.stringify(about.slice(0, 100))}`);
  try {
    context.emit(to, data);
  } catch (error) {
    throw lie(event, to, describeThrown(error).message, error);
  }
}

function lie(event: EventOf<EventType>, to: EventType, why: string, cause?: unknown): EddyError {
  const text = `the source's answer for ${nameOf(event)} can be no ${to.type}: ${why}`;
  return new EddyError("EDDY_ENRICH_ANSWER", text, {}, cause === undefined ? {} : { cause });
}
