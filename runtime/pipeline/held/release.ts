// What an operator says to a running handler about a held key: let it go. A message on the handler's due subject, so it
// waits there where nothing runs, and is taken at the next start.
// L1 It names the event that held the key when the operator looked: where another one does by now, it changes nothing.
import { Packr, Unpackr } from "msgpackr";
import { type Broker, retryStream, storeBatch } from "../../broker/index.ts";
import { EddyError, type Position, type Token, token } from "../../events/index.ts";
import { placeNamed } from "../ledger/place.ts";
import { dueSubject } from "../retry/backoff.ts";
import { readHeld } from "./records.ts";

export interface Release {
  readonly lane: Token;
  readonly by: Position;
}

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });
const word = "release";

export function encodeRelease({ lane, by }: Release): Uint8Array {
  return packr.pack([word, lane, by.stream, by.seq]);
}

/** The release, or undefined for bytes that are none. */
export function decodeRelease(bytes: Uint8Array): Release | undefined {
  try {
    const wire: unknown = unpackr.unpack(bytes);
    if (!Array.isArray(wire) || wire.length !== 4 || wire[0] !== word) return undefined;
    const [, lane, stream, seq]: unknown[] = wire;
    if (typeof lane !== "string" || typeof stream !== "string") return undefined;
    if (typeof seq !== "number" || !Number.isSafeInteger(seq)) return undefined;
    return { lane: lane as Token, by: { stream, seq } };
  } catch {
    return undefined;
  }
}

async function sendRelease(broker: Broker, handler: string, release: Release): Promise<void> {
  const natsSubject = dueSubject(broker.app, handler);
  const headerLines = `Nats-Expected-Stream: ${retryStream}\r\n`;
  const message = { natsSubject, headerLines, data: encodeRelease(release) };
  const result = await storeBatch(broker.nc, [message], 5_000);
  if (result.kind === "stored") return;
  const why = "description" in result ? result.description : result.kind;
  throw new EddyError(
    "EDDY_RELEASE_NOT_SENT",
    `the release for ${handler} was not stored in ${retryStream}: ${why}. Nothing has changed; try again`,
  );
}

/** Lets a held key go: its followers run, whatever becomes of the event that holds it. */
export async function releaseKey(
  broker: Broker,
  handler: string,
  key: string,
): Promise<"released" | "not held"> {
  const lane = token(key);
  const by = await holderOf(broker, handler, lane);
  if (by === undefined) return "not held";
  await sendRelease(broker, handler, { lane, by });
  return "released";
}

/** The event that holds a key of a handler, whichever kind that is. */
async function holderOf(
  broker: Broker,
  handler: string,
  lane: Token,
): Promise<Position | undefined> {
  const kinds = ["reaction", "projection"] as const;
  for (const kind of handler === token(handler) ? kinds : kinds.slice(0, 1)) {
    // a bucket's name is a token
    const place = placeNamed(kind, handler, broker);
    const held = (await readHeld(broker, place, lane))?.held;
    if (held !== undefined && "by" in held) return held.by.position;
  }
  return undefined;
}

/** Lets the key go that this event holds, where it does: its letter is discarded. */
export async function releaseHeldBy(
  broker: Broker,
  handler: string,
  key: string,
  position: Position,
): Promise<void> {
  const lane = token(key);
  const by = await holderOf(broker, handler, lane);
  if (by?.stream !== position.stream || by.seq !== position.seq) return;
  await sendRelease(broker, handler, { lane, by });
}
