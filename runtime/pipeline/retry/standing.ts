// The standing of one event that left the fast way, as a record beside the ledger and in the same batches.
// It alone decides whether an attempt that comes due, or a letter that is given back, may still run:
// a schedule left by a crash or a zombie finds no standing that fits and changes nothing.
import { Packr, Unpackr } from "msgpackr";
import type { BatchMessage, NatsConnection } from "../../broker/index.ts";
import { readMessage, storeBatch } from "../../broker/index.ts";
import { EddyError, type Position } from "../../events/index.ts";
import { type Place, standingSubject } from "../ledger/place.ts";

export type Standing =
  /** Waits for this attempt. */
  | { readonly kind: "waiting"; readonly attempt: number }
  /** Lies behind the event that holds its key, and has not been tried. */
  | { readonly kind: "parked" }
  /** Has a letter: it is dead, or has expired and is kept. */
  | { readonly kind: "dead" }
  /** Its letter was discarded by an operator. */
  | { readonly kind: "discarded" }
  | { readonly kind: "done" };

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

// In a bucket's stream a finished standing would stay for ever: nothing cuts that stream's head.
const doneTtlLines = "Nats-TTL: 168h\r\n";

export function standingMessage(
  place: Place,
  position: Position,
  standing: Standing,
): BatchMessage {
  const inBucket = place.stream.startsWith("KV_");
  return {
    natsSubject: standingSubject(place, position.stream, position.seq),
    headerLines: standing.kind === "done" && inBucket ? doneTtlLines : "",
    data: packr.pack([standing.kind, standing.kind === "waiting" ? standing.attempt : 0]),
  };
}

export async function readStanding(
  nc: NatsConnection,
  place: Place,
  position: Position,
): Promise<Standing | undefined> {
  return (await readRecord(nc, place, position))?.standing;
}

/** Throws for bytes that are no standing. */
export function decodeStanding(bytes: Uint8Array): Standing {
  const [kind, attempt] = unpackr.unpack(bytes) as [Standing["kind"], number];
  return kind === "waiting" ? { kind, attempt } : { kind };
}

/** Notes that the letter of a dead event was discarded, unless the event has another standing by now. */
export async function markDiscarded(
  nc: NatsConnection,
  places: readonly Place[],
  position: Position,
): Promise<void> {
  for (const place of places) {
    const found = await readRecord(nc, place, position);
    if (found?.standing.kind !== "dead") continue;
    const message = standingMessage(place, position, { kind: "discarded" });
    const result = await storeBatch(nc, [{ ...message, expectedSeq: found.seq }], 5_000);
    if (result.kind === "stored" || result.kind === "stale") return;
    const why = "description" in result ? result.description : result.kind;
    throw new EddyError(
      "EDDY_PARCEL_NOT_STORED",
      `the letter was removed, but ${place.stream} did not take the note that it was discarded: ${why}. ` +
        "Nothing runs again; `eddy reconcile` will miss the letter",
    );
  }
}

async function readRecord(nc: NatsConnection, place: Place, { stream, seq }: Position) {
  const subject = standingSubject(place, stream, seq);
  const message = await readMessage(nc, place.stream, { last_by_subj: subject });
  if (message === undefined) return undefined;
  return { seq: message.seq, standing: decodeStanding(message.data) };
}
