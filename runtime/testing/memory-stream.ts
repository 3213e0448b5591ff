// The stream in memory behind a harness: its log, entries and clock, and the loop that runs handlers over them.
// M1 An event is handled to the end before the next one: an order that the runtime keeps per key only.
// M2 Effects are committed when the attempt has returned, all of them or none.
import type {
  AnyProjection,
  EventOf,
  EventType,
  Handler,
  Log,
  LogLine,
  StateOf,
} from "../authoring/index.ts";
import { type CloudEvent, EddyError } from "../events/index.ts";
import { attempt, type Effect } from "./attempt.ts";
import type { Harness, LoggedLine, PublishOptions } from "./harness.ts";
import { type Message, toEvent, toMessage } from "./message.ts";
import { judge, type Observed, type Verdict } from "./verdict.ts";

interface Stored {
  readonly seq: number;
  readonly message: Message;
  readonly event: CloudEvent;
  readonly emitted: boolean;
  readonly duplicate: boolean;
}

interface Waiting {
  readonly due: Date;
  readonly stored: Stored;
  readonly handler: Handler;
  readonly attempt: number;
}

/** A chain that is longer than this has no end. */
const chainMax = 10_000;

export class MemoryStream implements Harness {
  readonly outcomes: Observed[] = [];
  readonly logs: LoggedLine[] = [];
  readonly #handlers: readonly Handler[];
  readonly #log: Stored[] = [];
  readonly #identities = new Set<string>();
  readonly #entries = new Map<string, Map<string, string>>();
  #waiting: Waiting[] = [];
  #done = 0;
  #now = new Date();

  constructor(handlers: readonly Handler[]) {
    this.#handlers = handlers;
  }

  async publish(type: EventType, data: unknown, options: PublishOptions = {}) {
    const { id = `published-${this.#log.length + 1}`, source = "/test", subject, key } = options;
    const message = toMessage({
      specversion: "1.0",
      id,
      source,
      type: type.type,
      ...(subject === undefined ? {} : { subject }),
      time: this.#now.toISOString(),
      datacontenttype: options.datacontenttype ?? "application/json",
      extensions: key === undefined ? {} : { partitionkey: key },
      data,
    });
    const { event } = this.#store(message, false);
    await this.#follow();
    return event;
  }

  async settle() {
    for (let rounds = 0; this.#waiting.length > 0; rounds++) {
      if (rounds === chainMax) throw endless("retries");
      const next = this.#waiting.reduce((a, b) => (b.due < a.due ? b : a));
      this.#waiting = this.#waiting.filter((waiting) => waiting !== next);
      if (next.due > this.#now) this.#now = next.due;
      await this.#attempt(next.handler, next.stored, next.attempt);
      await this.#follow();
    }
  }

  emitted<E extends EventType>(type: E) {
    return this.#log
      .filter((stored) => stored.emitted && !stored.duplicate)
      .map((stored) => toEvent(stored.message))
      .filter((event): event is EventOf<E> => event.type === type.type);
  }

  entry<P extends AnyProjection>(projection: P, key: string): StateOf<P> | undefined {
    const json = this.#entries.get(projection.name)?.get(key);
    return json === undefined ? undefined : JSON.parse(json);
  }

  entries<P extends AnyProjection>(projection: P): ReadonlyMap<string, StateOf<P>> {
    const entries = this.#entries.get(projection.name) ?? new Map<string, string>();
    return new Map(Array.from(entries, ([key, json]) => [key, JSON.parse(json)]));
  }

  #store(message: Message, emitted: boolean): Stored {
    const event = toEvent(message);
    const identity = JSON.stringify([event.source, event.id]);
    const stored: Stored = {
      seq: this.#log.length + 1,
      message,
      event,
      emitted,
      duplicate: this.#identities.has(identity),
    };
    this.#identities.add(identity);
    this.#log.push(stored);
    return stored;
  }

  /** Hands the stored events that nobody has seen yet to their handlers, in the order of the log. */
  async #follow() {
    const end = this.#done + chainMax;
    for (let stored = this.#log[this.#done]; stored; stored = this.#log[++this.#done]) {
      if (this.#done === end) throw endless("events");
      for (const handler of this.#handlers) {
        if (!handler.declaration.from.some((type) => type.type === stored?.event.type)) continue;
        if (stored.duplicate) this.#observe(handler, stored, 1, { kind: "duplicate" });
        else await this.#attempt(handler, stored, 1);
      }
    }
  }

  async #attempt(handler: Handler, stored: Stored, n: number) {
    try {
      const effects = await attempt(handler, toEvent(stored.message), {
        attempt: n,
        log: this.#logOf(handler.name),
        entry: (projection, key) => this.#entries.get(projection)?.get(key),
        emitId: (index) => `${stored.seq}.${index}`,
        now: () => this.#now,
      });
      for (const effect of effects) this.#commit(effect);
      this.#observe(handler, stored, n, { kind: "handled", effects: effects.length });
    } catch (thrown) {
      const verdict = judge(thrown, n, handler.declaration.options, this.#now);
      this.#observe(handler, stored, n, verdict);
      if (verdict.kind === "retry") {
        this.#waiting.push({ due: verdict.due, stored, handler, attempt: n + 1 });
      }
    }
  }

  #commit(effect: Effect) {
    if (effect.kind === "emit") {
      this.#store(effect.message, true);
      return;
    }
    const entries = this.#entries.get(effect.projection) ?? new Map<string, string>();
    this.#entries.set(effect.projection, entries);
    if (effect.json === undefined) entries.delete(effect.key);
    else entries.set(effect.key, effect.json);
  }

  #observe(handler: Handler, stored: Stored, n: number, verdict: Verdict) {
    this.outcomes.push({ ...verdict, handler: handler.name, event: stored.event, attempt: n });
  }

  #logOf(handler: string): Log {
    const line =
      (level: keyof Log): LogLine =>
      (message, facts = {}) =>
        this.logs.push({ level, handler, message, facts });
    return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
  }
}

function endless(what: string): EddyError {
  const text = `more than ${chainMax} ${what} follow from one: handlers that emit what they react to?`;
  return new EddyError("EDDY_TEST_ENDLESS", text);
}
