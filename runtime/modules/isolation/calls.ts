// Calls of an isolated module's functions, inside its thread: the pipeline's own code runs them, so that they see
// the same context and the same errors as in the main thread.
// C1 Calls begin in order, and the shared words say which one is running. C2 Between calls the thread gives way now
// and then, so that a ping is answered however many calls wait.
import assert from "node:assert/strict";
import {
  type Declaration,
  type Handler,
  Permanent,
  type Projection,
} from "../../authoring/index.ts";
import { validatorOf } from "../../contracts/index.ts";
import { type CloudEvent, decodeStored, EddyError, nameOf } from "../../events/index.ts";
import { effectOf } from "../../pipeline/effect.ts";
import { entryKey, marksAfter, nextState } from "../../pipeline/fold.ts";
import { type Result, runReaction } from "../../pipeline/handle.ts";
import type { Fact } from "../../pipeline/index.ts";
import { createEntryReader } from "./entry-reader.ts";
import type { Outbox } from "./outbox.ts";
import { type ToThread, type WireCall, type WireEffect, word } from "./protocol.ts";
import { toWire } from "./thrown.ts";

const sliceMs = 5;

export interface Calls {
  take(message: ToThread): void;
}

interface Waiting {
  readonly call: WireCall;
  /** Header block and data, one behind the other. */
  readonly raw: Buffer;
}

export function createCalls(
  declarations: readonly Declaration[],
  version: string,
  shared: Int32Array,
  outbox: Outbox,
): Calls {
  const entries = createEntryReader(outbox);
  const stopping = { over: false, cuts: new Set<() => void>() };
  const around = { report: (fact: Fact) => log(fact), ...entries.reads, stopping };
  const refining = new Set(declarations.filter(refines));
  let queue: Waiting[] = [];
  let at = 0;
  let next: NodeJS.Immediate | undefined;

  function enqueue(calls: readonly WireCall[], bytes: Uint8Array): void {
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let from = 0;
    for (const call of calls) {
      const [, , , , , , , , , headers, data] = call;
      const end = from + headers + data;
      queue.push({ call, raw: all.subarray(from, end) });
      from = end;
    }
    if (next === undefined) work();
  }

  function work(): void {
    const until = performance.now() + sliceMs;
    next = undefined;
    for (let waiting = queue[at]; waiting !== undefined; waiting = queue[at]) {
      if (performance.now() > until) {
        next = setImmediate(work);
        break;
      }
      at++;
      begin(waiting);
    }
    queue = queue.slice(at);
    at = 0;
    outbox.flush();
  }

  function begin(waiting: Waiting): void {
    const [number] = waiting.call;
    Atomics.store(shared, word.begun, number);
    Atomics.store(shared, word.current, number);
    try {
      perform(waiting);
    } catch (error) {
      outbox.say({ kind: "threw", call: number, error: toWire(error) });
    }
    Atomics.store(shared, word.current, 0);
  }

  function perform({ call, raw }: Waiting): void {
    const [number, operation, place, name, stream, seq, attempt, ...rest] = call;
    const [deadlineMs, source, headers, , state, replaying] = rest;
    const declaration = declarations[place];
    assert(declaration !== undefined, "bug: a call of a declaration that is not there");
    const event = decode(raw, headers);
    if (refining.has(declaration) && operation !== "apply") checkData(declaration, name, event);
    if (operation === "run") {
      assert(declaration.kind === "reaction");
      const handler: Handler = { name, file: "", version, declaration };
      const run = { handler, event, position: { stream, seq }, attempt };
      const terms = { deadlineMs, source, ...(replaying && { replaying }) };
      const result = runReaction(declaration, run, terms, around);
      if (result instanceof Promise) void result.then((later) => sayResult(number, later));
      else sayResult(number, result);
      return;
    }
    assert(declaration.kind === "projection");
    const isKey = operation === "key";
    const made = isKey ? keyText(declaration, event) : apply(declaration, event, state);
    outbox.say({ kind: "text", call: number, ...made });
  }

  function sayResult(call: number, result: Result): void {
    try {
      if (result.kind === "threw") throw result.error;
      const made = result.emitted.map((event) => ({ ...effectOf(event), id: event.id }));
      const effects = made.map(
        (e): WireEffect => [e.natsSubject, e.headerLines, e.id, e.data.byteLength],
      );
      const bytes = made.map(({ data }) => data);
      outbox.say({ kind: "effects", call, effects }, bytes);
    } catch (error) {
      outbox.say({ kind: "threw", call, error: toWire(error) }); // or it emitted what no codec takes
    }
  }

  function log(fact: Fact): void {
    outbox.say({ kind: "log", fact: logLine(fact) });
  }

  return {
    take(message) {
      switch (message.kind) {
        case "calls":
          return enqueue(message.calls, message.bytes);
        case "entry":
        case "noEntry":
          return entries.take(message);
        case "ping":
          return void Atomics.store(shared, word.beat, message.beat);
        case "stop":
          stopping.over = true;
          for (const cut of [...stopping.cuts]) cut();
          return;
      }
    },
  };
}

/** As the main thread has decoded it, and frozen as there. */
function decode(raw: Buffer, headerLength: number): CloudEvent {
  const decoded = decodeStored(raw, headerLength);
  assert(decoded.ok, "bug: what was decoded in the main thread does not decode here");
  return Object.freeze(decoded.event);
}

/** Whether a schema that it reads holds functions: those do not reach the main thread, where data is checked. */
function refines({ from }: Declaration): boolean {
  return from.some(({ schema }) => holdsRefinement(schema, new Set()));
}

function holdsRefinement(value: unknown, seen: Set<unknown>): boolean {
  if (typeof value !== "object" || value === null || seen.has(value)) return false;
  seen.add(value);
  if ("~refine" in value) return true;
  return Object.values(value).some((part) => holdsRefinement(part, seen));
}

function checkData(declaration: Declaration, name: string, event: CloudEvent): void {
  const type = declaration.from.find((known) => known.type === event.type);
  const wrong = type === undefined ? [] : validatorOf(type.schema)(event.data);
  if (wrong.length === 0) return;
  const text = `${name} cannot take ${nameOf(event)}: ${wrong.join("; ")}`;
  throw new Permanent(text, { cause: new EddyError("EDDY_DATA_INVALID", text) });
}

function keyText(projection: Projection, event: CloudEvent) {
  return { text: entryKey(projection, event), marks: "" };
}

/** The next state as JSON, and what it is found by. */
function apply(projection: Projection, event: CloudEvent, state: string | undefined) {
  const next = nextState(projection, event, state === undefined ? undefined : JSON.parse(state));
  const marks = marksAfter(projection, next);
  try {
    const text: string | undefined = JSON.stringify(next);
    if (text !== undefined) return { text, marks };
  } catch {
    // said below: a cycle or a BigInt
  }
  const name = nameOf(event);
  throw new Permanent(
    `projection ${projection.name}: the state after ${name} is no JSON value. The entry is unchanged`,
  );
}

/** Whatever a handler gives its log, the line comes through. */
function logLine(fact: Fact): string {
  try {
    return JSON.stringify(fact);
  } catch {
    return JSON.stringify({ ...fact, facts: { unprintable: "a cycle or a BigInt" } });
  }
}
