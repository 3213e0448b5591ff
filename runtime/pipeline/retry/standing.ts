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
  | { readonly kind: "waiting"; readonly attempt: number; readonly started?: Started }
  /** Lies behind the event that holds its key, and has no outcome of an attempt. */
  | { readonly kind: "parked"; readonly started?: Started }
  /** Has a letter: it is dead, or has expired and is kept. */
  | { readonly kind: "dead"; readonly started?: Started }
  /** Its letter was discarded by an operator. */
  | { readonly kind: "discarded" }
  | { readonly kind: "done" };

/** The instance that ran it last, and how often one had died of it before. */
export interface Started {
  readonly instance: string;
  readonly deaths: number;
}

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

// In a bucket's stream a finished standing stays: with a TTL of the server's, the one before it would come back after a
// crash of the server (see write.ts in projections).
export function standingMessage(
  place: Place,
  position: Position,
  standing: Standing,
): BatchMessage {
  return {
    natsSubject: standingSubject(place, position.stream, position.seq),
    headerLines: "",
    data: packr.pack(wireOf(standing)),
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
  const [kind, attempt, instance, deaths = 0] = unpackr.unpack(bytes) as Wire;
  const started = instance === undefined ? {} : { started: { instance, deaths } };
  if (kind === "waiting") return { kind, attempt, ...started };
  return kind === "dead" || kind === "parked" ? { kind, ...started } : { kind };
}

type Wire = [kind: Standing["kind"], attempt: number, instance?: string, deaths?: number];

function wireOf(standing: Standing): Wire {
  const attempt = standing.kind === "waiting" ? standing.attempt : 0;
  const started = startedOf(standing);
  if (started === undefined) return [standing.kind, attempt];
  return [standing.kind, attempt, started.instance, started.deaths];
}

/** Who ran it last, where that was said. */
export function startedOf(standing: Standing | undefined): Started | undefined {
  return standing !== undefined && "started" in standing ? standing.started : undefined;
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
