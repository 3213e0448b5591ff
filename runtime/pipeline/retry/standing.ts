// The standing of one event that left the fast way, as a record beside the ledger and in the same batches.
// It alone decides whether an attempt that comes due, or a letter that is given back, may still run:
// a schedule left by a crash or a zombie finds no standing that fits and changes nothing.
import { Packr, Unpackr } from "msgpackr";
import type { BatchMessage, NatsConnection } from "../../broker/index.ts";
import { readMessage } from "../../broker/index.ts";
import type { Position } from "../../events/index.ts";
import { type Place, standingSubject } from "../ledger/place.ts";

export type Standing =
  /** Waits for this attempt. */
  | { readonly kind: "waiting"; readonly attempt: number }
  | { readonly kind: "dead" }
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
  const subject = standingSubject(place, position.stream, position.seq);
  const message = await readMessage(nc, place.stream, { last_by_subj: subject });
  if (message === undefined) return undefined;
  const [kind, attempt] = unpackr.unpack(message.data) as [Standing["kind"], number];
  return kind === "waiting" ? { kind, attempt } : { kind };
}
