// Effects written ahead: of a small group the ledger record itself carries the effects, and they are published right
// after it. Two plain publishes instead of a batch, whose flat cost is that of dozens of them.
// A1 What a record carries is as good as stored: whoever holds the ledger next publishes what is missing before
// anything else. A2 Each effect is fenced by the record that carries it, so that none comes late from somebody who lost
// the ledger. A3 Whether an effect is there is looked up behind a newer fence, never guessed.
import {
  type BatchMessage,
  type BatchResult,
  type Broker,
  readMessage,
  storeBatch,
} from "../broker/index.ts";
import { EddyError } from "../events/index.ts";
import type { Place } from "./ledger/place.ts";

/** Effects that a ledger record carries. */
export interface Ahead {
  /** Sequence of the first record that carried them; 0 in that record itself. */
  readonly since: number;
  readonly messages: readonly BatchMessage[];
}

/** Publishes effects side by side, in order, fenced by the record at `seq`; a result for each. */
export async function publishAhead(
  broker: Broker,
  { ledger }: Place,
  messages: readonly BatchMessage[],
  seq: number,
  answerMs: number,
): Promise<BatchResult[]> {
  return await Promise.all(
    messages.map((message) =>
      storeBatch(broker.nc, [{ ...message, expectedSeq: seq, expectedOn: ledger }], answerMs),
    ),
  );
}

/** Those that are not in the stream. The record that was stored last keeps away what may still be on its way. */
export async function missingAhead(
  broker: Pick<Broker, "nc">,
  { stream }: Place,
  { since, messages }: Ahead,
): Promise<BatchMessage[]> {
  const missing: BatchMessage[] = [];
  for (const message of messages) {
    if (!(await isThere(broker, stream, message, since))) missing.push(message);
  }
  return missing;
}

async function isThere(
  broker: Pick<Broker, "nc">,
  stream: string,
  { natsSubject, headerLines, data }: BatchMessage,
  since: number,
): Promise<boolean> {
  for (let seq = since + 1; ; ) {
    const found = await readMessage(broker.nc, stream, { seq, next_by_subj: natsSubject });
    if (found === undefined) return false;
    const lines = Buffer.from(found.headers ?? []).toString("latin1");
    if (lines.startsWith(`NATS/1.0\r\n${headerLines}`) && Buffer.compare(found.data, data) === 0) {
      return true;
    }
    seq = found.seq + 1;
  }
}

/** After a take-over: publishes what the earlier holder did not come to. `seq` is that of the epoch record. */
export async function finishAhead(
  broker: Broker,
  place: Place,
  ahead: Ahead,
  seq: number,
  answerMs: number,
): Promise<void> {
  const missing = await missingAhead(broker, place, ahead);
  const results = await publishAhead(broker, place, missing, seq, answerMs);
  const failed = results.find((result) => result.kind !== "stored");
  if (failed === undefined) return;
  const why = "description" in failed ? failed.description : failed.kind;
  throw new EddyError(
    "EDDY_EFFECT_REFUSED",
    `an effect of ${place.ledger} that its last record carries is not stored: ${why}. The handler waits, nothing is ` +
      `lost: see that stream ${place.stream} takes it, and the next try stores it`,
  );
}
