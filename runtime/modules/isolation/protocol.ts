// What the main thread and the thread of an isolated module tell each other. Types only, but for the shared words.
// P1 Calls are begun in the order in which they were sent. P2 What is said within one turn travels as one message,
// all bytes of it in one piece that changes hands. P3 What a thread that stands still is busy with can be read.

import type { Enrichment, EventOptions, Local } from "../../authoring/index.ts";
import type { Asked, EntryQuery } from "../../pipeline/index.ts";
import type { Evaluable } from "../evaluate.ts";
import type { WireError } from "./thrown.ts";

/** Words of a SharedArrayBuffer that the thread writes and the main thread reads, whatever the thread is busy with. */
export const word = {
  /** Number of the call that was begun last. */
  begun: 0,
  /** The call whose function has not given way yet; 0 where none is known. */
  current: 1,
  /** The beat that was answered last. */
  beat: 2,
} as const;
export const sharedBytes = Object.keys(word).length * Int32Array.BYTES_PER_ELEMENT;

/** What the thread is started with. */
export interface ThreadData {
  readonly shared: SharedArrayBuffer;
  readonly compiled: Evaluable & { readonly version: string };
}

export type Operation = "run" | "key" | "apply";

/** A call: tuples are cheaper to copy than objects, and this is one for each event. */
export type WireCall = readonly [
  number: number,
  operation: Operation,
  declaration: number,
  handler: string,
  stream: string,
  seq: number,
  attempt: number,
  deadlineMs: number,
  source: string,
  /** Bytes of its header block and of its data. */
  headers: number,
  data: number,
  /** JSON of the state, for `apply`; undefined where there is none. */
  state: string | undefined,
  replaying: true | undefined,
];

export type ToThread =
  | { readonly kind: "calls"; readonly calls: readonly WireCall[]; readonly bytes: Uint8Array }
  | { readonly kind: "entry"; readonly asked: number; readonly json: string }
  | { readonly kind: "noEntry"; readonly asked: number; readonly error: WireError }
  | { readonly kind: "ping"; readonly beat: number }
  /** The runtime waits no longer. */
  | { readonly kind: "stop" };

export type WireEffect = readonly [
  natsSubject: string,
  headerLines: string,
  /** CloudEvents `id`. */
  id: string,
  /** Bytes of its data. */
  data: number,
];

export type FromThread =
  | { readonly kind: "effects"; readonly call: number; readonly effects: readonly WireEffect[] }
  /** An entry's key, or its next state as JSON with what it is found by. */
  | {
      readonly kind: "text";
      readonly call: number;
      readonly text: string;
      readonly marks: string;
    }
  | { readonly kind: "threw"; readonly call: number; readonly error: WireError }
  | {
      readonly kind: "get";
      readonly asked: number;
      readonly what: Asked;
    }
  | {
      readonly kind: "find";
      readonly asked: number;
      readonly projection: string;
      readonly query: EntryQuery;
    }
  /** A fact of a handler's own log line, as JSON. */
  | { readonly kind: "log"; readonly fact: string }
  | { readonly kind: "stray"; readonly error: WireError }
  | { readonly kind: "loaded"; readonly description: Description }
  | { readonly kind: "failed"; readonly error: WireError };

export interface Parcelled {
  readonly items: readonly FromThread[];
  readonly bytes: Uint8Array;
}

/** The declarations of a module as data; `exports` has their places in the list by file key and export's name. */
export interface Description {
  readonly declarations: readonly Described[];
  readonly exports: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface DescribedType {
  readonly type: string;
  readonly schema: object;
  readonly options: EventOptions;
}

export type Described =
  | {
      readonly kind: "reaction";
      readonly from: readonly DescribedType[];
      readonly emits: readonly DescribedType[];
      readonly options: object;
      readonly enrichment?: Enrichment;
    }
  | {
      readonly kind: "projection";
      readonly name: string;
      readonly from: readonly DescribedType[];
      readonly options: object;
      readonly indexes: readonly string[];
      readonly state?: object;
      readonly local?: Local;
    };
