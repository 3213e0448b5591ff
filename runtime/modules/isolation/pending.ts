// One call of a handler's function that waits for its result from the thread: how it is packed, and what it is
// resolved with. One of these is made for each event: no closures beyond the promise's own.
import type { BatchMessage } from "../../broker/index.ts";
import type { NextEntry, Remote, RemoteCall } from "../../pipeline/index.ts";
import type { FromThread, WireCall, WireEffect } from "./protocol.ts";
import { fromWire } from "./thrown.ts";

interface Common {
  readonly handler: string;
  /** The declaration's place in the module's description. */
  readonly declaration: number;
  readonly call: RemoteCall;
  readonly reject: (error: unknown) => void;
}

export type Pending = Common &
  (
    | { readonly operation: "run"; readonly resolve: (effects: readonly BatchMessage[]) => void }
    | { readonly operation: "key"; readonly resolve: (key: string) => void }
    | {
        readonly operation: "apply";
        /** JSON; undefined where there is no state. */
        readonly state: string | undefined;
        readonly resolve: (next: NextEntry) => void;
      }
  );

export type Result = Extract<FromThread, { kind: "effects" | "text" | "threw" }>;

/** The functions of a declaration, as calls. */
export function remoteFor(
  declaration: number,
  handler: string,
  send: (pending: Pending) => void,
): Remote {
  return {
    run: (call) =>
      new Promise((resolve, reject) => {
        send({ operation: "run", handler, declaration, call, resolve, reject });
      }),
    key: (call) =>
      new Promise((resolve, reject) => {
        send({ operation: "key", handler, declaration, call, resolve, reject });
      }),
    apply: (call, given) =>
      new Promise((resolve, reject) => {
        const state = given === undefined ? undefined : JSON.stringify(given);
        send({ operation: "apply", handler, declaration, call, state, resolve, reject });
      }),
  };
}

/** Ends the call. `from` is where its bytes begin; gives where they end. */
export function resolveWith(
  pending: Pending | undefined,
  result: Result,
  bytes: Uint8Array,
  from: number,
): number {
  switch (result.kind) {
    case "effects": {
      const source = pending?.call.terms.source ?? "";
      const { messages, end } = unpack(result.effects, source, bytes, from);
      if (pending?.operation === "run") pending.resolve(messages);
      return end;
    }
    case "text":
      if (pending?.operation === "key") pending.resolve(result.text);
      if (pending?.operation === "apply")
        pending.resolve({ state: JSON.parse(result.text), marks: result.marks });
      return from;
    case "threw":
      pending?.reject(fromWire(result.error));
      return from;
  }
}

function unpack(effects: readonly WireEffect[], source: string, bytes: Uint8Array, from: number) {
  const messages: BatchMessage[] = [];
  let end = from;
  for (const [natsSubject, headerLines, id, length] of effects) {
    const data = bytes.subarray(end, end + length);
    messages.push({ natsSubject, headerLines, data, identity: { source, id } });
    end += length;
  }
  return { messages, end };
}

/** The call as it travels; its bytes are added to `pieces`. */
export function wireCall(number: number, pending: Pending, pieces: Uint8Array[]): WireCall {
  const { operation, declaration, handler, call } = pending;
  const { job, terms } = call;
  const { headers, data } = job.original;
  if (headers !== undefined) pieces.push(headers);
  pieces.push(data);
  return [
    number,
    operation,
    declaration,
    handler,
    job.position.stream,
    job.position.seq,
    job.attempt,
    terms.deadlineMs,
    terms.source,
    headers?.byteLength ?? 0,
    data.byteLength,
    operation === "apply" ? pending.state : undefined,
    terms.replaying,
  ];
}
