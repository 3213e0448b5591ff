// One attempt: the user's function with its event, context, deadline and signal; what came of it as data.
// Owns the context's life. Stores nothing.
// H1 An attempt has one result. H2 What a handler asks for after its result is refused.
// H3 Effects of an attempt that failed are gone.
import {
  type AnyProjection,
  type Context,
  type EmitOptions,
  type EventType,
  type Handler,
  type Log,
  Permanent,
  type Reaction,
} from "../authoring/index.ts";
import { validatorOf } from "../contracts/index.ts";
import { type CloudEvent, EddyError, makeEvent, nameOf, type Position } from "../events/index.ts";
import { emittedEvent } from "./emit.ts";
import type { Report } from "./facts.ts";
import type { Stopping } from "./stopping.ts";

/** Reads an entry of any projection, for `ctx.get`. */
export type ReadEntry = (projection: string, key: string) => Promise<unknown>;

export interface Run {
  readonly handler: Handler;
  readonly event: CloudEvent;
  readonly position: Position;
  readonly attempt: number;
  readonly deadlineMs: number;
  /** Source attribute of what is emitted. */
  readonly source: string;
}

export interface Surroundings {
  readonly report: Report;
  readonly readEntry: ReadEntry;
  /** Over when the runtime stops without waiting any longer. */
  readonly stopping: Stopping;
}

export type Result =
  | { readonly kind: "returned"; readonly emitted: readonly CloudEvent[] }
  | { readonly kind: "threw"; readonly error: unknown };

const effectsMax = 500;

/** Runs a reaction once. A handler that returns no promise is done when this returns. */
export function runReaction(
  reaction: Reaction,
  run: Run,
  around: Surroundings,
  done: (result: Result) => void,
): void {
  const unit: Unit = { emitted: [], open: true };
  const abort = lazyAbort();
  const context = makeContext(reaction, run, around, unit, abort);
  let running: Promise<unknown> | undefined;
  try {
    // The event is the union of the types in `from`; the pipeline has checked type and data against them.
    const returned: unknown = reaction.run(run.event as never, context as Context);
    if (isThenable(returned)) running = Promise.resolve(returned); // whatever its `then` does, it settles once
  } catch (error) {
    unit.open = false;
    done({ kind: "threw", error });
    return;
  }
  if (running === undefined) {
    unit.open = false;
    done({ kind: "returned", emitted: unit.emitted });
    return;
  }
  settleInTime(running, run, around, abort, (result) => {
    unit.open = false;
    done(result === undefined ? { kind: "returned", emitted: unit.emitted } : result);
  });
}

interface Unit {
  readonly emitted: CloudEvent[];
  open: boolean;
}

function settleInTime(
  running: Promise<unknown>,
  run: Run,
  around: Surroundings,
  abort: LazyAbort,
  done: (failed?: { kind: "threw"; error: unknown }) => void,
): void {
  let over = false;
  const end = (failed?: { kind: "threw"; error: unknown }) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    around.stopping.cuts.delete(stop);
    done(failed);
  };
  const cut = (error: EddyError) => {
    abort.abort(error);
    end({ kind: "threw", error });
  };
  const stop = () => cut(stoppedError(run));
  const timer = setTimeout(() => cut(deadlineError(run)), run.deadlineMs);
  around.stopping.cuts.add(stop);
  running.then(
    () => end(),
    (error: unknown) => end({ kind: "threw", error }),
  );
}

function makeContext(
  reaction: Reaction,
  run: Run,
  around: Surroundings,
  unit: Unit,
  abort: LazyAbort,
): Context {
  return {
    attempt: run.attempt,
    get signal() {
      return abort.signal();
    },
    log: logOf(run, around.report),
    emit(type: EventType, data: unknown, options: EmitOptions = noOptions) {
      if (!unit.open) throw lateError(run, "emit");
      checkEmit(reaction, run, type, data, unit.emitted.length);
      const made = emittedEvent(run, type, data, options, unit.emitted.length);
      checkAttributes(run, made, options);
      unit.emitted.push(made);
    },
    get: (async (projection: AnyProjection, key: string) =>
      await around.readEntry(projection.name, key)) as Context["get"],
  };
}

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

const noOptions: EmitOptions = {};

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

interface LazyAbort {
  signal(): AbortSignal;
  abort(reason: unknown): void;
}

// Most handlers never look at their signal: a controller for each event would cost more than the rest of the stage.
function lazyAbort(): LazyAbort {
  let controller: AbortController | undefined;
  let aborted: { reason: unknown } | undefined;
  return {
    signal() {
      controller ??= new AbortController();
      if (aborted !== undefined) controller.abort(aborted.reason);
      return controller.signal;
    },
    abort(reason) {
      aborted = { reason };
      controller?.abort(reason);
    },
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

function deadlineError(run: Run): EddyError {
  return new EddyError(
    "EDDY_DEADLINE",
    `${run.handler.name} did not finish ${nameOf(run.event)} within ${run.deadlineMs} ms. Its signal was aborted; ` +
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
