// One attempt: the user's function with its event, context, deadline and signal; what came of it as data.
// Owns the context's life. Stores nothing.
// H1 An attempt has one result. H2 What a handler asks for after its result is refused.
// H3 Effects of an attempt that failed are gone.
import {
  type AnyProjection,
  type Context,
  type EmitOptions,
  type EventType,
  type FindOptions,
  type GetOptions,
  type Handler,
  type Log,
  Permanent,
  type Reaction,
} from "../authoring/index.ts";
import { validatorOf } from "../contracts/index.ts";
import { type CloudEvent, EddyError, makeEvent, nameOf, type Position } from "../events/index.ts";
import { emittedEvent } from "./emit.ts";
import type { Report } from "./facts.ts";
import { entryQuery, type FindEntries } from "./find.ts";
import type { ReadEntry, ReadWait } from "./read-entry.ts";
import type { Stopping } from "./stopping.ts";

/** The event that runs. A job of the pipeline is one. */
export interface Run {
  readonly handler: Handler;
  readonly event: CloudEvent;
  readonly position: Position;
  readonly attempt: number;
}

/** What holds for all runs of one version. */
export interface Terms {
  readonly deadlineMs: number;
  /** CloudEvents `source` of what is emitted: `/<app>/<handler>`. */
  readonly source: string;
  /** The past is run again: for `ctx.replaying`. */
  readonly replaying?: true;
}

export interface Surroundings {
  readonly report: Report;
  readonly readEntry: ReadEntry;
  readonly findEntries: FindEntries;
  /** Over when the runtime stops without waiting any longer. */
  readonly stopping: Stopping;
}

export type Result =
  | { readonly kind: "returned"; readonly emitted: readonly CloudEvent[] }
  | { readonly kind: "threw"; readonly error: unknown };

const effectsMax = 500;
const nothing: readonly CloudEvent[] = [];

/** Runs a reaction once. A handler that returns no promise is done when this returns. */
export function runReaction(
  reaction: Reaction,
  run: Run,
  terms: Terms,
  around: Surroundings,
): Result | Promise<Result> {
  const context = new ReactionContext(reaction, run, terms, around);
  try {
    // The event is the union of the types in `from`; the pipeline has checked type and data against them.
    const returned: unknown = reaction.run(run.event as never, context);
    // Whatever its `then` does, it settles once.
    if (isThenable(returned)) return settleInTime(Promise.resolve(returned), context);
  } catch (error) {
    context.open = false;
    return { kind: "threw", error };
  }
  return context.close();
}

function settleInTime(running: Promise<unknown>, context: ReactionContext): Promise<Result> {
  const { run, terms, around } = context;
  return new Promise((resolve) => {
    const end = (result: Result) => {
      clearTimeout(timer);
      around.stopping.cuts.delete(stop);
      resolve(result); // the first one counts
    };
    const cut = (error: EddyError) => {
      context.open = false;
      context.abort(error);
      end({ kind: "threw", error });
    };
    const stop = () => cut(stoppedError(run));
    const timer = setTimeout(() => cut(deadlineError(run, terms)), terms.deadlineMs);
    around.stopping.cuts.add(stop);
    running.then(
      () => end(context.close()),
      (error: unknown) => {
        context.open = false;
        end({ kind: "threw", error });
      },
    );
  });
}

// One object for each event, so what most handlers never look at is made when they do. `emit`, `get` and `find` are
// getters, so that they also work taken apart: ({ emit }) => …
class ReactionContext implements Context {
  open = true;
  readonly reaction: Reaction;
  readonly run: Run;
  readonly terms: Terms;
  readonly around: Surroundings;
  #emitted: CloudEvent[] | undefined;
  #controller: AbortController | undefined;
  #aborted: { reason: unknown } | undefined;

  constructor(reaction: Reaction, run: Run, terms: Terms, around: Surroundings) {
    this.reaction = reaction;
    this.run = run;
    this.terms = terms;
    this.around = around;
  }

  get attempt(): number {
    return this.run.attempt;
  }

  get replaying(): boolean {
    return this.terms.replaying === true;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason);
    return this.#controller.signal;
  }

  get log(): Log {
    return logOf(this.run, this.around.report);
  }

  get emit(): Context["emit"] {
    return (type: EventType, data: unknown, options: EmitOptions = noOptions) => {
      const { reaction, run, terms } = this;
      if (!this.open) throw lateError(run, "emit");
      const emitted = this.#emitted ?? [];
      checkEmit(reaction, run, type, data, emitted.length);
      const made = emittedEvent(run, terms.source, type, data, options, emitted.length);
      checkAttributes(run, made, options);
      emitted.push(made);
      this.#emitted = emitted;
    };
  }

  get get(): Context["get"] {
    return (async (projection: AnyProjection, key: string, { after }: GetOptions = noOptions) => {
      const wait = after === undefined ? undefined : this.#waitFor(after);
      const { name, local } = projection;
      return (await this.around.readEntry({ projection: name, local, key, wait })).value;
    }) as Context["get"];
  }

  get read(): Context["read"] {
    return (async (projection: AnyProjection, key: string, { after }: GetOptions = noOptions) => {
      const wait = after === undefined ? undefined : this.#waitFor(after);
      const asked = { projection: projection.name, local: projection.local, key, wait, told: true };
      const { value, position, ageMs } = await this.around.readEntry(asked);
      return { value, position, ageMs };
    }) as Context["read"];
  }

  get find(): Context["find"] {
    return (async (projection: AnyProjection, where: unknown, options: FindOptions = noOptions) => {
      const query = entryQuery(where, options);
      if (query.ok) return await this.around.findEntries(projection.name, query.query);
      const text = `${this.run.handler.name} asked for entries of ${projection.name}: ${query.why}`;
      throw refused("EDDY_FIND_INVALID", text);
    }) as Context["find"];
  }

  #waitFor(after: CloudEvent): ReadWait {
    const { event, handler, position } = this.run;
    if (after === event) return { after: position, waitMs: this.terms.deadlineMs };
    const text = `${handler.name} asked to read after ${nameOf(after)}, but handles ${nameOf(event)}: only its own event has a position to wait for`;
    throw refused("EDDY_GET_AFTER", text);
  }

  abort(reason: unknown): void {
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }

  /** What was asked for until now is the result; later calls are refused. */
  close(): Result {
    this.open = false;
    return this.#emitted === undefined ? done : { kind: "returned", emitted: this.#emitted };
  }
}

const done: Result = { kind: "returned", emitted: nothing };

function checkEmit(
  reaction: Reaction,
  run: Run,
  type: EventType,
  data: unknown,
  count: number,
): void {
  const declared = reaction.emits.find((known) => known.type === type.type);
  if (declared === undefined) {
    throw refused(
      "EDDY_EMIT_UNDECLARED",
      `${run.handler.name} emitted ${type.type}, which its declaration does not list. Add it to emits: [ … ]`,
    );
  }
  if (count >= effectsMax) {
    throw refused(
      "EDDY_TOO_MANY_EFFECTS",
      `${run.handler.name} emitted more than ${effectsMax} events for ${nameOf(run.event)}: one batch cannot hold them`,
    );
  }
  const wrong = validatorOf(declared.schema)(data);
  if (wrong.length > 0) {
    throw refused(
      "EDDY_EMIT_INVALID",
      `${run.handler.name} emitted ${type.type} with data that breaks its schema: ${wrong.join("; ")}`,
    );
  }
}

// What the options say becomes subject and headers: as strict as with an event from outside.
function checkAttributes(run: Run, made: CloudEvent, options: EmitOptions): void {
  if (options === noOptions) return;
  const { extensions, data, ...core } = made;
  const checked = makeEvent(new Map(Object.entries({ ...core, ...extensions })), data);
  if (checked.ok) return;
  throw refused(
    "EDDY_EMIT_INVALID",
    `${run.handler.name} emitted ${made.type} with options that can be no attributes: ${checked.fault.message}`,
  );
}

const noOptions: EmitOptions & GetOptions & FindOptions = {};

/** An error that no retry can mend: it names itself by its code, and is permanent. */
function refused(code: string, message: string): Permanent {
  return new Permanent(message, { cause: new EddyError(code, message) });
}

function logOf(run: Run, report: Report): Log {
  const line =
    (level: "debug" | "info" | "warn" | "error") =>
    (message: string, facts: Readonly<Record<string, unknown>> = {}) => {
      const { type, source, id } = run.event;
      const { name: handler, version } = run.handler;
      report({ kind: "log", level, handler, version, event: { type, source, id }, message, facts });
    };
  return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

function deadlineError(run: Run, { deadlineMs }: Terms): EddyError {
  return new EddyError(
    "EDDY_DEADLINE",
    `${run.handler.name} did not finish ${nameOf(run.event)} within ${deadlineMs} ms. Its signal was aborted; ` +
      "pass ctx.signal on to what it waits for, or declare a longer deadline",
  );
}

function stoppedError(run: Run): EddyError {
  return new EddyError("EDDY_STOPPED", `the runtime stopped before ${run.handler.name} was done`);
}

function lateError(run: Run, what: string): EddyError {
  return new EddyError(
    "EDDY_LATE_EFFECT",
    `${run.handler.name} called ctx.${what} after its result. Await everything before the handler returns`,
  );
}
