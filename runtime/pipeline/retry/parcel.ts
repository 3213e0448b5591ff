// An event that left the fast way, packed with all that is known about it: what waits on a backoff subject and
// what lies in the dead letters. Pure bytes to data and back.
// P1 Headers and data are the original's, byte for byte. P2 The history is bounded; the newest attempts are kept.
import { Packr, Unpackr } from "msgpackr";
import type { Position } from "../../events/index.ts";
import type { LetterReason } from "../outcome.ts";

/** One failed run of the handler. */
export interface Attempt {
  readonly attempt: number;
  readonly atMs: number;
  /** Version of the handler that ran. */
  readonly version: string;
  readonly error: string;
}

export interface ErrorFacts {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
}

/** The original message. */
export interface Original {
  readonly position: Position;
  readonly natsSubject: string;
  readonly timeMs: number;
  readonly headers?: Uint8Array;
  readonly data: Uint8Array;
}

export interface Parcel {
  readonly handler: string;
  readonly original: Original;
  readonly attempts: readonly Attempt[];
  /** The run that comes next, 1 for the first. */
  readonly next: number;
  /** How many runs before were no attempts: the event had to wait. */
  readonly postponed?: number;
  readonly packedMs: number;
  /** Sequence of the letter that an operator gave back; absent on an ordinary retry. */
  readonly letter?: number;
  /** That letter kept an expired event: until it runs, it is counted as expired and not as dead. */
  readonly expired?: true;
  /** An operator gave the event back: neither it nor its retries expire. */
  readonly anyAge?: true;
  /** Set on a dead letter. */
  readonly death?: {
    readonly reason: LetterReason;
    readonly version: string;
    readonly error: ErrorFacts;
    readonly event?: {
      readonly source: string;
      readonly id: string;
      readonly type: string;
      readonly key: string;
    };
  };
  /** In how many pieces the original's headers and data are stored beside the parcel, being too large for it. */
  readonly apart?: number;
}

const attemptsMax = 40;
const messageCharsMax = 2_000;
const stackCharsMax = 8_000;

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

export function encodeParcel(parcel: Parcel): Uint8Array {
  const { attempts, ...rest } = parcel;
  return packr.pack({ ...rest, attempts: attempts.slice(-attemptsMax) });
}

/** The parcel, or undefined for bytes that are none. */
export function decodeParcel(bytes: Uint8Array): Parcel | undefined {
  try {
    const parcel: unknown = unpackr.unpack(bytes);
    return isParcel(parcel) ? parcel : undefined;
  } catch {
    return undefined;
  }
}

function isParcel(value: unknown): value is Parcel {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof Reflect.get(value, "handler") === "string" &&
    typeof Reflect.get(value, "next") === "number" &&
    typeof Reflect.get(value, "original") === "object" &&
    Array.isArray(Reflect.get(value, "attempts"))
  );
}

/** Error facts within bounds. */
export function boundedError(error: ErrorFacts): ErrorFacts {
  return {
    name: error.name.slice(0, 200),
    message: error.message.slice(0, messageCharsMax),
    ...(error.code === undefined ? {} : { code: error.code }),
    ...(error.stack === undefined ? {} : { stack: error.stack.slice(0, stackCharsMax) }),
  };
}
