// The stream in memory behind a harness: its log, its entries, its clock, and the loop that runs handlers over them.
// M1 An event is handled to the end before the next one: an order that the runtime keeps for each key only.
// M2 An ordered handler's event that waits for a retry holds its key: the later ones of it wait for `settle` too.
// M3 What an attempt emits is stored when it has returned, all of it or nothing.
import {
  type AnyProjection,
  type EventOf,
  type EventType,
  type Found,
  type Handler,
  leavesOut,
  type StateOf,
} from "../authoring/index.ts";
import { type CloudEvent, EddyError } from "../events/index.ts";
import type { Surroundings } from "../pipeline/handle.ts";
import type { Entries, EntryQuery } from "../pipeline/index.ts";
import {
  contractError,
  expiredVerdict,
  type Job,
  judge,
  runAttempt,
  type Verdict,
} from "./attempt.ts";
import type { Harness, LoggedLine, Observed, PublishOptions } from "./contract.ts";
import { findInMemory, memoryEntries } from "./memory-entries.ts";
import { MemoryLanes } from "./memory-lanes.ts";
import { type Message, toEvent, toMessage } from "./message.ts";

interface Stored {
  readonly seq: number;
  readonly message: Message;
  readonly event: CloudEvent;
  readonly emitted: boolean;
  /** Where its identity stands first; 0 where that is here. */
  readonly firstSeq: number;
  readonly storedMs: number;
  readonly replaying: boolean;
}

interface Waiting {
  readonly due: Date;
  readonly handler: Handler;
  readonly stored: Stored;
  readonly attempt: number;
}

/** A chain that is longer than this has no end. */
const chainMax = 10_000;

export class MemoryStream implements Harness {
  readonly outcomes: Observed[] = [];
  readonly logs: LoggedLine[] = [];
  readonly #handlers: readonly Handler[];
  readonly #log: Stored[] = [];
  readonly #pending: Stored[] = [];
  readonly #identities = new Map<string, number>();
  readonly #entries = new Map<string, Map<string, string>>();
  readonly #around: Surroundings = {
    report: (fact) => {
      if (fact.kind === "log") this.logs.push(fact);
    },
    readEntry: async ({ projection, key }) => {
      const value = this.#read(projection, key);
      const position = {
        stream: "EVENTS",
        seq: (this.#pending[0]?.seq ?? this.#log.length + 1) - 1,
      };
      return { value, position, ageMs: 0 };
    },
    findEntries: async (projection, query) => this.#find(projection, query),
    stopping: { over: false, cuts: new Set() },
  };
  readonly #lanes = new MemoryLanes<Stored>();
  #waiting: Waiting[] = [];
  #nowMs = Date.now();

  constructor(handlers: readonly Handler[]) {
    this.#handlers = handlers;
  }

  async publish(type: EventType, data: unknown, options: PublishOptions = {}) {
    const { id = `event-${this.#log.length + 1}`, source = "/test", subject, key } = options;
    const { time = new Date(this.#nowMs), expiryTime, replaying = false } = options;
    const message = toMessage({
      specversion: "1.0",
      id,
      source,
      type: type.type,
      ...(subject === undefined ? {} : { subject }),
      time: time.toISOString(),
      datacontenttype: options.datacontenttype ?? "application/json",
      extensions: {
        ...(key === undefined ? {} : { partitionkey: key }),
        ...(expiryTime === undefined ? {} : { expirytime: expiryTime.toISOString() }),
      },
      data,
    });
    const { event } = this.#store(message, false, replaying);
    await this.#follow();
    return event;
  }

  async settle() {
    for (let rounds = 0; this.#waiting.length > 0; rounds++) {
      if (rounds === chainMax) throw endless("retries");
      const next = this.#waiting.reduce((a, b) => (b.due < a.due ? b : a));
      this.#waiting = this.#waiting.filter((waiting) => waiting !== next);
      this.#nowMs = Math.max(this.#nowMs, next.due.getTime());
      await this.#attempt(next.handler, next.stored, next.attempt);
      await this.#follow();
    }
  }

  emitted<E extends EventType>(type: E) {
    return this.#log
      .filter(({ emitted }) => emitted)
      .map(({ message }) => toEvent(message))
      .filter((event): event is EventOf<E> => event.type === type.type);
  }

  entry<P extends AnyProjection>(projection: P, key: string): StateOf<P> | undefined {
    return this.#read(projection.name, key);
  }

  entries<P extends AnyProjection>(projection: P): ReadonlyMap<string, StateOf<P>> {
    const entries = this.#entriesOf(projection.name);
    return new Map(Array.from(entries, ([key, json]) => [key, JSON.parse(json)]));
  }

  #store(message: Message, emitted: boolean, replaying: boolean): Stored {
    const event = toEvent(message);
    const identity = JSON.stringify([event.source, event.id]);
    const seq = this.#log.length + 1;
    const firstSeq = this.#identities.get(identity) ?? 0;
    const storedMs = this.#nowMs;
    const stored = { seq, message, event, emitted, firstSeq, storedMs, replaying };
    if (stored.firstSeq === 0) this.#identities.set(identity, seq);
    this.#log.push(stored);
    this.#pending.push(stored);
    return stored;
  }

  /** Hands the events that nobody has seen yet to their handlers, in the order of the log. */
  async #follow() {
    const lastSeq = this.#log.length + chainMax;
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      if (next.seq > lastSeq) throw endless("events");
      const { type } = next.event;
      for (const handler of this.#handlers) {
        if (!handler.declaration.from.some((known) => known.type === type)) continue;
        await this.#attempt(handler, next, 1);
      }
    }
  }

  /** One attempt, and what was parked behind the event where its key goes on. */
  async #attempt(handler: Handler, stored: Stored, attempt: number) {
    const isTaken = stored.firstSeq === 0 && !leavesOut(handler.declaration, stored.event);
    const lane = isTaken ? this.#lanes.of(handler, stored.event) : undefined;
    if (attempt === 1 && lane?.park(stored)) return;
    const verdict = await this.#conclude(handler, stored, attempt);
    if (lane === undefined) return;
    lane.settle(stored, attempt, verdict);
    for (let next = lane.next(); next !== undefined; next = lane.next()) {
      lane.settle(next, 1, await this.#conclude(handler, next, 1));
    }
  }

  async #conclude(handler: Handler, stored: Stored, attempt: number): Promise<Verdict> {
    const { firstSeq, message, seq, replaying } = stored;
    const position = { stream: "EVENTS", seq };
    const job: Job = { handler, event: toEvent(message), position, attempt, replaying };
    const verdict: Verdict =
      firstSeq === 0 ? await this.#run(job, stored) : { kind: "duplicate", firstSeq };
    this.outcomes.push({ ...verdict, handler: handler.name, event: stored.event, attempt });
    if (verdict.kind === "retry") {
      this.#waiting.push({ due: verdict.due, handler, stored, attempt: attempt + 1 });
    }
    return verdict;
  }

  async #run(job: Job, { storedMs }: Stored): Promise<Verdict> {
    if (leavesOut(job.handler.declaration, job.event)) return { kind: "filtered" };
    const broken = contractError(job);
    if (broken !== undefined) return { kind: "dead", reason: "schema", cause: broken };
    const expired = expiredVerdict(job, storedMs, this.#nowMs);
    if (expired !== undefined) return expired;
    try {
      const emitted = await runAttempt(job, this.#around, (name) => this.#fold(name));
      for (const message of emitted.map(toMessage)) this.#store(message, true, false);
      const effects = job.handler.declaration.kind === "projection" ? 1 : emitted.length;
      return { kind: "handled", effects };
    } catch (thrown) {
      return judge(job, thrown, this.#nowMs);
    }
  }

  #fold(projection: string): Entries {
    return memoryEntries(this.#entriesOf(projection));
  }

  #entriesOf(projection: string): Map<string, string> {
    const entries = this.#entries.get(projection) ?? new Map<string, string>();
    this.#entries.set(projection, entries);
    return entries;
  }

  #find(name: string, query: EntryQuery): Found<unknown> {
    const declarations = this.#handlers.map(({ declaration }) => declaration);
    const declaration = declarations.find((d) => d.kind === "projection" && d.name === name);
    return findInMemory(declaration, this.#entriesOf(name), query);
  }

  #read(projection: string, key: string) {
    const json = this.#entriesOf(projection).get(key);
    return json === undefined ? undefined : JSON.parse(json);
  }
}

function endless(what: string): EddyError {
  const text = `more than ${chainMax} ${what} follow from one event: does a handler emit what it reacts to?`;
  return new EddyError("EDDY_TEST_ENDLESS", text);
}
