// The switch: a projection's entries become what was folded anew, in one step for its readers.
// S1 A small difference is one atomic batch with the ledger's record. S2 Of a larger one copies are stored first; one
// batch with the record makes them count (readers look there), and they are then written into their places.
// S3 A crash before that batch leaves the old entries and copies that nobody reads; after it, whoever takes the ledger
// over goes on. S4 What does not differ is not written: nobody who watches is told.
import { ulid } from "ulid";
import {
  type BatchMessage,
  type Broker,
  batchMessagesMax,
  type Delivery,
  readRange,
  streamInfo,
} from "../../broker/index.ts";
import { type Position, parseHeaderBlock, type Token, token, untoken } from "../../events/index.ts";
import { count } from "../ledger/counts.ts";
import type { LedgerRecord } from "../ledger/record.ts";
import { marksIn, marksLines } from "../marks.ts";
import { type Standing, standingMessage } from "../retry/standing.ts";
import { type Fenced, storeBehind, storeWithRecord } from "./fenced.ts";
import { copySubject, markerMessage, mendedSubject, readMarker } from "./marker.ts";
import type { States } from "./states.ts";

/** What is to become of a projection. */
export interface Switch {
  readonly states: States;
  /** Keys whose entry changes. */
  readonly differing: readonly string[];
  /** Events that waited or were dead, and are folded now. */
  readonly mended: ReadonlyMap<Position, Standing["kind"]>;
  readonly shape: string | undefined;
  /** Readers look where the copies are from then on. */
  readonly untilKnown: () => Promise<void>;
}

const oneStepBytesMax = 4 * 2 ** 20;
const batchBytesMax = 512 * 1024;

export async function makeSwitch(broker: Broker, fenced: Fenced, next: Switch): Promise<Fenced> {
  const { place } = fenced;
  const record = recordAfter(fenced.record, next);
  const done = [...next.mended.keys()].map((at) => standingMessage(place, at, { kind: "done" }));
  if (isOneStep(next)) {
    const entries = next.differing.map((key) => entryOf(fenced, next.states, key));
    fenced.entries.forget();
    const over = markerMessage(place, { kind: "over" });
    return await storeWithRecord(broker, fenced, [...entries, ...done, over], record);
  }
  await next.untilKnown();
  const id = ulid();
  await storeBehind(broker, fenced, [markerMessage(place, { kind: "writing", id })]);
  for (const batch of batches(copies(fenced, id, next))) await storeBehind(broker, fenced, batch);
  const marker = markerMessage(place, { kind: "switched", id });
  return await storeWithRecord(broker, fenced, [marker], record);
}

/** After a take-over, before anything else: what a switch has left is brought to its end, or away. */
export async function finishSwitch(broker: Broker, fenced: Fenced): Promise<void> {
  const { place } = fenced;
  const found = await readMarker(broker, place);
  if (found === undefined) return;
  const { marker, seq } = found;
  if (marker.kind === "over" || marker.kind === "soon") return;
  if (marker.kind === "switched") await writeIntoPlace(broker, fenced, marker.id, seq);
  await removeCopies(broker, fenced, marker.id);
  await storeBehind(broker, fenced, [markerMessage(place, { kind: "over" })]);
}

function isOneStep({ states, differing, mended }: Switch): boolean {
  if (differing.length + mended.size + 2 > batchMessagesMax) return false;
  const chars = differing.reduce((sum, key) => sum + (states.text(key)?.length ?? 0), 0);
  return chars <= oneStepBytesMax;
}

function recordAfter(before: LedgerRecord, { mended, shape }: Switch): LedgerRecord {
  const counts = { ...before.counts };
  for (const kind of mended.values())
    count(counts, { from: kind === "dead" ? "dead" : "retrying", to: "handled" }, 1);
  // What ran when a process died is folded, or comes again; nothing that the record carries is left to be published.
  const { ahead: _, ...lasting } = before;
  return { ...lasting, counts, ...(shape === undefined ? {} : { shape }) };
}

function entryOf(fenced: Fenced, states: States, key: string): BatchMessage {
  return entryMessage(fenced, key, states.text(key), states.marks(key));
}

/** No text: the entry is removed. */
function entryMessage({ entries }: Fenced, key: string, text: string | undefined, marks: string) {
  return entries.fold(key, text ? JSON.parse(text) : null, marks);
}

function* copies(fenced: Fenced, id: string, { states, differing, mended }: Switch) {
  for (const key of differing) {
    const { data } = entryOf(fenced, states, key);
    const headerLines = marksLines(data.byteLength === 0 ? "" : states.marks(key)); // no marker yet
    yield { natsSubject: copySubject(fenced.place, id, token(key)), headerLines, data };
  }
  fenced.entries.forget();
  for (const at of mended.keys()) {
    const natsSubject = mendedSubject(fenced.place, id, at);
    yield { natsSubject, headerLines: "", data: new Uint8Array(0) };
  }
}

function* batches(messages: Iterable<BatchMessage>): Generator<BatchMessage[]> {
  let batch: BatchMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    if (batch.length === batchMessagesMax || bytes > batchBytesMax) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(message);
    bytes += message.data.byteLength;
  }
  if (batch.length > 0) yield batch;
}

async function writeIntoPlace(
  broker: Broker,
  fenced: Fenced,
  id: string,
  seq: number,
): Promise<void> {
  const { stream } = fenced.place;
  const to = (await streamInfo(broker.jsm, stream))?.state.last_seq ?? 0;
  const written = await subjectsBehind(broker, stream, seq, to);
  const isNew = ({ natsSubject }: BatchMessage) => !written.has(natsSubject);
  const filters = [copySubject(fenced.place, id, ">"), mendedSubject(fenced.place, id, ">")];
  for (const filter of filters) {
    const prefix = filter.slice(0, -1);
    for await (const chunk of readRange(broker, { stream, filter, from: 1, to })) {
      const messages = chunk.flatMap((copy) => placed(fenced, copy, prefix) ?? []).filter(isNew);
      for (const batch of batches(messages)) await storeBehind(broker, fenced, batch);
      fenced.entries.forget();
    }
  }
}

/** Nothing else is written behind a marker before its switch is over: these are in their places already. */
async function subjectsBehind(broker: Broker, stream: string, seq: number, to: number) {
  const found = new Set<string>();
  for await (const chunk of readRange(broker, { stream, filter: ">", from: seq + 1, to }))
    for (const { natsSubject } of chunk) found.add(natsSubject);
  return found;
}

/** What a copy stands for. A range may give more than its filter. */
function placed(fenced: Fenced, copy: Delivery, prefix: string): BatchMessage | undefined {
  const { natsSubject, raw, headerLength } = copy;
  if (!natsSubject.startsWith(prefix)) return undefined;
  const rest = natsSubject.slice(prefix.length);
  const at = rest.indexOf(".");
  if (at < 0) {
    const text = new TextDecoder().decode(raw.subarray(headerLength));
    const marks = marksIn(parseHeaderBlock(raw.subarray(0, headerLength)));
    return entryMessage(fenced, untoken(rest as Token) ?? rest, text, marks);
  }
  const position = { stream: untoken(rest.slice(0, at)) ?? "", seq: Number(rest.slice(at + 1)) };
  return standingMessage(fenced.place, position, { kind: "done" });
}

async function removeCopies(broker: Broker, { place }: Fenced, id: string): Promise<void> {
  for (const filter of [copySubject(place, id, ">"), mendedSubject(place, id, ">")])
    await broker.jsm.streams.purge(place.stream, { filter });
}
