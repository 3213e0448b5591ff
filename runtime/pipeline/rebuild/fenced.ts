// Storing while a ledger is held and nothing runs: everything is fenced by its last record, so that nothing comes late
// from somebody who lost it.
// F1 A batch without an answer is looked up, and sent again only behind the same fence.
import { setTimeout as sleep } from "node:timers/promises";
import { type BatchMessage, type Broker, readMessage, storeBatch } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import type { Entries } from "../entries.ts";
import type { Place } from "../ledger/place.ts";
import { decodeRecord, encodeRecord, type LedgerRecord } from "../ledger/record.ts";

/** A projection's ledger that was just taken over: nothing is consumed, and nobody else writes. */
export interface Fenced {
  readonly place: Place;
  readonly record: LedgerRecord;
  /** Of that record. */
  readonly seq: number;
  readonly entries: Entries;
}

const answerMs = 10_000;
const triesMax = 10;

/** Stores messages and the ledger's next record in one step. */
export async function storeWithRecord(
  broker: Broker,
  fenced: Fenced,
  messages: readonly BatchMessage[],
  next: LedgerRecord,
): Promise<Fenced> {
  const { place, seq } = fenced;
  const record = { ...next, commit: fenced.record.commit + 1 };
  const natsSubject = place.ledger;
  const last = { natsSubject, headerLines: "", data: encodeRecord(record), expectedSeq: seq };
  const batch = [...messages, last];
  const stored = await untilStored(broker, place, batch, async () => {
    const found = await readMessage(broker.nc, place.stream, { last_by_subj: natsSubject });
    if (found === undefined || found.seq === seq) return undefined;
    const { instance, epoch, commit } = decodeRecord(found.data);
    if (instance !== record.instance || epoch !== record.epoch || commit !== record.commit)
      throw lost(place);
    return found.seq;
  });
  return { ...fenced, record, seq: stored };
}

/** Stores messages in one step, behind the fence. Such a batch may be stored twice, by the same values. */
export async function storeBehind(
  broker: Broker,
  { place, seq }: Fenced,
  messages: readonly BatchMessage[],
): Promise<number> {
  const [first, ...more] = messages;
  if (first === undefined) return seq;
  const batch = [{ ...first, expectedSeq: seq, expectedOn: place.ledger }, ...more];
  return await untilStored(broker, place, batch, async () => {
    const fence = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger });
    if (fence?.seq !== seq) throw lost(place);
    const last = messages.at(-1) ?? first;
    const found = await readMessage(broker.nc, place.stream, { last_by_subj: last.natsSubject });
    if (found === undefined || found.seq < seq) return undefined;
    return Buffer.compare(found.data, last.data) === 0 ? found.seq : undefined;
  });
}

async function untilStored(
  broker: Broker,
  place: Place,
  batch: readonly BatchMessage[],
  lookUp: () => Promise<number | undefined>,
): Promise<number> {
  let why = "";
  for (let tries = 1; tries <= triesMax; tries++) {
    const result = await storeBatch(broker.nc, batch, answerMs);
    if (result.kind === "stored") return result.lastSeq;
    why = "description" in result ? result.description : result.kind;
    if (result.kind === "refused") break;
    const found = await lookUp();
    if (found !== undefined) return found;
    await sleep(Math.min(100 * 2 ** tries, 2_000));
  }
  const text = `stream ${place.stream} did not take what was folded anew: ${why}. See the log of nats-server, and ask again`;
  throw new EddyError("EDDY_REBUILD_FAILED", text);
}

function lost({ ledger }: Place): EddyError {
  const text = `another instance took ${ledger} over while it was rebuilt. Ask again: whoever has it now does the work`;
  return new EddyError("EDDY_REBUILD_FAILED", text);
}
