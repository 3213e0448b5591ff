// A handler's own past, run again in place: which events it has handled, and which of their effects the log holds.
// I1 What counts as handled has all of its effects in the log, or in the record that carries them: the ledger is read before
// the standings, these before the ledger's newer record, and the log last.
import { type Broker, readMessage, readRange, streamInfo } from "../../broker/index.ts";
import { allEvents, isEventSubject, token } from "../../events/index.ts";
import { hashIdentity } from "../identities/hash.ts";
import { peekIdentity } from "../identities/identity.ts";
import { createWindow, type Window } from "../identities/window.ts";
import { holds } from "../ledger/floor.ts";
import type { Place } from "../ledger/place.ts";
import { decodeRecord, type InputRecord, type LedgerRecord } from "../ledger/record.ts";
import { decodeStanding, type Standing } from "../retry/standing.ts";
import type { Span } from "./span.ts";

/** Effects of one handler, by identity. */
export interface Effects {
  has(effect: { readonly source: string; readonly id: string }): boolean;
  add(effect: { readonly source: string; readonly id: string }): void;
}

/** What became of an event when it was its turn: `unsettled` is one that the handler has not come to, or waits for. */
export type Past = "handled" | "unsettled" | "dead";

/** What the handler has done with each position. */
export async function readHandled(broker: Broker, place: Place): Promise<(seq: number) => Past> {
  const record = await readRecord(broker, place);
  const standings = await readStandings(broker, place);
  const input = await inputOf(broker, record);
  return (seq) => {
    if (input === undefined || (seq > input.floor && !holds(input.above, seq))) return "unsettled";
    const standing = standings.get(seq);
    if (standing === "waiting" || standing === "parked") return "unsettled";
    return standing === "dead" || standing === "discarded" ? "dead" : "handled";
  };
}

/** The effects of a handler that are stored behind a position, or as good as stored. */
export async function readEffects(
  broker: Broker,
  place: Place,
  source: string,
  [{ from }]: Span,
): Promise<Effects> {
  const effects = emptyEffects();
  const record = await readRecord(broker, place);
  for (const { headerLines, data } of record?.ahead?.messages ?? []) {
    const head = Buffer.from(`NATS/1.0\r\n${headerLines}\r\n`, "latin1");
    const identity = peekIdentity(Buffer.concat([head, data]), head.byteLength);
    if (identity !== undefined) effects.add(identity);
  }
  const info = await streamInfo(broker.jsm, broker.home);
  const to = info?.state.last_seq ?? 0;
  const range = { stream: broker.home, filter: allEvents, from, to };
  for await (const chunk of readRange(broker, range)) {
    for (const { natsSubject, raw, headerLength } of chunk) {
      if (!isEventSubject(natsSubject)) continue;
      const identity = peekIdentity(raw, headerLength);
      if (identity?.source === source) effects.add(identity);
    }
  }
  return effects;
}

// 64-bit hashes, 32 bytes each. Two effects of one hash: one in 10^13 where a million are compared with a million.
function emptyEffects(): Effects {
  const window: Window = createWindow(Number.MAX_SAFE_INTEGER);
  let count = 0;
  const has: Effects["has"] = ({ source, id }) => window.find(hashIdentity(source, id)) !== 0;
  return {
    has,
    add(effect) {
      if (!has(effect)) window.add(hashIdentity(effect.source, effect.id), ++count);
    },
  };
}

async function readRecord(
  broker: Broker,
  { stream, ledger }: Place,
): Promise<LedgerRecord | undefined> {
  const last = await readMessage(broker.nc, stream, { last_by_subj: ledger });
  return last === undefined ? undefined : decodeRecord(last.data);
}

async function inputOf(
  broker: Broker,
  record: LedgerRecord | undefined,
): Promise<InputRecord | undefined> {
  const info = await streamInfo(broker.jsm, broker.home);
  const createdMs = Date.parse(info?.created ?? "");
  return record?.inputs.find((i) => i.stream === broker.home && i.createdMs === createdMs);
}

// From the stream's leader: a replica may not know yet that an event waits.
async function readStandings(
  broker: Broker,
  { stream, ledger }: Place,
): Promise<ReadonlyMap<number, Standing["kind"]>> {
  const info = await streamInfo(broker.jsm, stream);
  const found = new Map<number, Standing["kind"]>();
  const prefix = `${ledger}.${token(broker.home)}.`;
  const range = { stream, filter: `${prefix}*`, from: 1, to: info?.state.last_seq ?? 0 };
  for await (const chunk of readRange(broker, range)) {
    for (const { natsSubject, data } of chunk) {
      if (!natsSubject.startsWith(prefix)) continue;
      found.set(Number(natsSubject.slice(prefix.length)), decodeStanding(data).kind);
    }
  }
  return found;
}
