// What the compacted home holds at one moment: for each type the record of its built-in handler that was stored last, and
// with it the messages that stand before it. What is stored later belongs to events that the record does not have.
// U1 All events that a cut calls completed are in it, by the last one of their entity; no other event is.
import { deleterOf, type EventType, type Handler, isCompacted } from "../../authoring/index.ts";
import {
  type Broker,
  consumerInfo,
  readMessage,
  readRange,
  streamInfo,
} from "../../broker/index.ts";
import { EddyError, subjectOfType } from "../../events/index.ts";
import { filterOf } from "../consume.ts";
import { holds, type Intervals } from "../ledger/floor.ts";
import { consumerName } from "../ledger/place.ts";
import { decodeRecord } from "../ledger/record.ts";
import { stateHandlerName, stateLedger } from "./names.ts";

/** How far the events of one type are in the compacted home. */
export interface Cut {
  readonly state: EventType;
  /** The last sequence of the compacted home that belongs to it. */
  readonly upTo: number;
  readonly floor: number;
  readonly above: Intervals;
}

/** Positions of the log that need not be read any more. */
export interface Completed {
  readonly floor: number;
  readonly above: Intervals;
}

/** The cuts of all types of a handler; undefined where one of them has never been kept there. */
export async function readCuts(
  broker: Broker,
  { declaration }: Handler,
  createdMs: number,
): Promise<readonly Cut[] | undefined> {
  const lastSeq = (await streamInfo(broker.jsm, broker.home))?.state.last_seq ?? 0;
  const cuts: Cut[] = [];
  for (const state of declaration.from.filter(isCompacted)) {
    const cut = await readCut(broker, state, createdMs, lastSeq);
    if (cut === undefined) return undefined;
    cuts.push(cut);
  }
  return cuts;
}

async function readCut(
  broker: Broker,
  state: EventType,
  createdMs: number,
  lastSeq: number,
): Promise<Cut | undefined> {
  const name = consumerName(broker.app, stateHandlerName(state.type));
  // Before the ledger: what it calls settled stands in the record that is read then.
  const consumer = await consumerInfo(broker.jsm, broker.home, name);
  const nothingLeft = consumer?.num_pending === 0 && consumer.num_ack_pending === 0;
  const last = { last_by_subj: stateLedger(state.type) };
  const record = await readMessage(broker.nc, broker.state, last);
  const input =
    record && decodeRecord(record.data).inputs.find(({ stream }) => stream === broker.home);
  if (input === undefined || input.createdMs !== createdMs) return undefined;
  const floor = nothingLeft ? Math.max(input.floor, lastSeq) : input.floor;
  return { state, upTo: record?.seq ?? 0, floor, above: input.above };
}

const openMax = 1_000;

/**
 * What of the handler's events all the cuts together have.
 * @throws EddyError `EDDY_STATE_BEHIND` where they are too far from each other to say it in a record.
 */
export async function completedBy(
  broker: Broker,
  handler: Handler,
  cuts: readonly Cut[],
): Promise<Completed> {
  const floor = Math.min(...cuts.map((cut) => cut.floor));
  const [only] = cuts;
  if (cuts.length === 1 && only !== undefined) return { floor, above: only.above };
  const to = Math.max(...cuts.map((cut) => Math.max(cut.floor, cut.above.at(-1) ?? 0)));
  const above: number[] = [];
  let from = floor + 1; // of the completed stretch that is not over yet
  const has = heldBy(cuts);
  const range = { stream: broker.home, filter: filterOf(handler), from, to };
  for await (const chunk of readRange(broker, range)) {
    for (const { seq, natsSubject } of chunk) {
      if (has(natsSubject, seq)) continue;
      if (seq > from) above.push(from, seq - 1);
      from = seq + 1;
      if (above.length > openMax) throw behind(handler, cuts);
    }
  }
  if (to >= from) above.push(from, to);
  return above[0] === floor + 1
    ? { floor: above[1] as number, above: above.slice(2) }
    : { floor, above };
}

/** Whether the event at a position of the log is in the cuts that it belongs to. */
export function heldBy(cuts: readonly Cut[]): (natsSubject: string, seq: number) => boolean {
  const owners = new Map<string, Cut[]>();
  for (const cut of cuts) {
    for (const type of new Set([cut.state.type, deleterOf(cut.state)?.type])) {
      if (type === undefined) continue;
      const subject = subjectOfType(type);
      owners.set(subject, [...(owners.get(subject) ?? []), cut]);
    }
  }
  return (natsSubject, seq) => {
    const cuts = owners.get(natsSubject.slice(0, natsSubject.lastIndexOf("."))) ?? [];
    return cuts.every(({ floor, above }) => seq <= floor || holds(above, seq));
  };
}

function behind({ name }: Handler, cuts: readonly Cut[]): EddyError {
  const far = cuts.map(({ state, floor }) => `${state.type} up to ${floor}`).join(", ");
  return new EddyError(
    "EDDY_STATE_BEHIND",
    `${name} begins with the compacted home of its types, which still takes in what the log has of them (${far}). It waits until they are level`,
  );
}
