// One attempt of one handler at one event: what it asks for, held back until it has returned.
// A1 An attempt that throws leaves no effect.   A2 What it emits is declared, valid and encodable.
import {
  type Context,
  type DataOf,
  type EmitOptions,
  type EventType,
  type Handler,
  type Log,
  type Projection,
  parseDuration,
  type Reaction,
} from "../authoring/index.ts";
import { validatorOf } from "../contracts/index.ts";
import { type CloudEvent, EddyError, keyOf, nameOf } from "../events/index.ts";
import { type Message, toMessage } from "./message.ts";

/** What a handler asks for; committed by the harness. */
export type Effect =
  | { readonly kind: "emit"; readonly message: Message }
  | {
      readonly kind: "entry";
      readonly projection: string;
      readonly key: string;
      readonly json?: string;
    };

/** What an attempt may look at. */
export interface Surroundings {
  readonly attempt: number;
  readonly log: Log;
  /** JSON of an entry. */
  entry(projection: string, key: string): string | undefined;
  /** An id for the nth event that this attempt emits. */
  emitId(n: number): string;
  now(): Date;
}

const defaultDeadlineMs = 30_000;

/** Runs the handler. Throws what the handler threw, or why its event or effects are refused. */
export async function attempt(
  { name, declaration }: Handler,
  event: CloudEvent,
  around: Surroundings,
): Promise<readonly Effect[]> {
  checkData(name, declaration.from, event);
  if (declaration.kind === "projection") return [fold(declaration, event, around)];
  const deadlineMs = parseDuration(declaration.options.deadline ?? defaultDeadlineMs) ?? 0;
  return react(name, declaration, event, around, deadlineMs);
}

function checkData(handler: string, from: readonly EventType[], event: CloudEvent): void {
  const type = from.find((candidate) => candidate.type === event.type);
  const wrong = type === undefined ? [] : validatorOf(type.schema)(event.data);
  if (wrong.length === 0) return;
  const text = `${handler} cannot take ${nameOf(event)}: ${wrong.join("; ")}`;
  throw new EddyError("EDDY_DATA_INVALID", text, { handler, type: event.type });
}

function fold(projection: Projection, event: CloudEvent, around: Surroundings): Effect {
  const { name, state } = projection;
  const key = projection.key(event);
  if (typeof key !== "string") {
    throw new TypeError(`projection("${name}"): key must return a string, got ${typeof key}`);
  }
  const known = around.entry(name, key);
  const next = projection.apply(known === undefined ? undefined : JSON.parse(known), event);
  if (next === null) return { kind: "entry", projection: name, key };
  const json = JSON.stringify(next);
  if (json === undefined) {
    throw new TypeError(`projection("${name}"): apply must return a state or null, got ${next}`);
  }
  const wrong = state === undefined ? [] : validatorOf(state)(JSON.parse(json));
  if (wrong.length > 0) {
    const text = `the next state of ${name}/${key} breaks its schema: ${wrong.join("; ")}`;
    throw new EddyError("EDDY_STATE_INVALID", text, { projection: name, key });
  }
  return { kind: "entry", projection: name, key, json };
}

async function react(
  name: string,
  reaction: Reaction,
  event: CloudEvent,
  around: Surroundings,
  deadlineMs: number,
): Promise<readonly Effect[]> {
  const effects: Effect[] = [];
  const stop = new AbortController();
  const context: Context = {
    emit(type, data, options) {
      checkEmit(name, reaction, type, data);
      const emitted = effectOf(event, name, around, effects.length, type, data, options);
      effects.push({ kind: "emit", message: emitted });
    },
    async get(projection, key) {
      const json = around.entry(projection.name, key);
      return json === undefined ? undefined : JSON.parse(json);
    },
    signal: stop.signal,
    log: around.log,
    attempt: around.attempt,
  };
  await within(deadlineMs, stop, async () => reaction.run(event, context));
  return [...effects]; // a copy: what a stray promise emits later is not among the effects
}

function checkEmit(handler: string, reaction: Reaction, type: EventType, data: unknown): void {
  const facts = { handler, type: type.type };
  if (!reaction.emits.some((declared) => declared.type === type.type)) {
    const text = `${handler} emits ${type.type}, which is not in its emits. Add it there`;
    throw new EddyError("EDDY_EMIT_UNDECLARED", text, facts);
  }
  const wrong = validatorOf(type.schema)(data);
  if (wrong.length === 0) return;
  const text = `${handler} emits ${type.type} with data that breaks its schema: ${wrong.join("; ")}`;
  throw new EddyError("EDDY_EMIT_INVALID", text, facts);
}

function effectOf<E extends EventType>(
  cause: CloudEvent,
  handler: string,
  around: Surroundings,
  n: number,
  type: E,
  data: DataOf<E>,
  options: EmitOptions = {},
): Message {
  const subject = options.subject ?? cause.subject;
  try {
    return toMessage({
      specversion: "1.0",
      id: around.emitId(n),
      source: `/harness/${handler}`,
      type: type.type,
      ...(subject === undefined ? {} : { subject }),
      time: around.now().toISOString(),
      datacontenttype: options.datacontenttype ?? "application/json",
      extensions: { ...options.extensions, partitionkey: options.key ?? keyOf(cause) },
      data,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const text = `${handler} emits ${type.type}, which cannot be stored: ${why}`;
    throw new EddyError("EDDY_EMIT_INVALID", text, { handler, type: type.type }, { cause: error });
  }
}

/** Real time, unlike the clock of the retries: the handler's own code waits in it. */
async function within(ms: number, stop: AbortController, run: () => Promise<unknown>) {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new EddyError("EDDY_DEADLINE", `no result within ${ms} ms`, { deadlineMs: ms });
      stop.abort(error);
      reject(error);
    }, ms);
  });
  try {
    await Promise.race([run(), late]);
  } finally {
    clearTimeout(timer);
  }
}
