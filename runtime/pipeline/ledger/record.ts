// The ledger record: what one handler has completed and counted, as bytes. The truth about the handler.
// R1 A record is readable on its own; the last one of its subject is the only one that counts.
import { Packr, Unpackr } from "msgpackr";
import { EddyError } from "../../events/index.ts";
import type { Ahead } from "../ahead.ts";
import type { Counts } from "./counts.ts";
import type { Intervals } from "./floor.ts";

export interface InputRecord {
  readonly stream: string;
  /** When the stream was created, in ms: a stream made anew starts its sequences anew. */
  readonly createdMs: number;
  readonly floor: number;
  readonly above: Intervals;
  /** Events that were in flight when a process died, until each of them has its outcome. */
  readonly trial?: Trial;
}

export interface LedgerRecord {
  /** Grows by one with each take-over. */
  readonly epoch: number;
  /** The instance that wrote it: a ULID for each start of a process. */
  readonly instance: string;
  /** Grows by one with each commit of an epoch: with it and `instance` a writer knows its own record. */
  readonly commit: number;
  readonly counts: Readonly<Counts>;
  /** The home stream first; behind those that are read, those that were. */
  readonly inputs: readonly InputRecord[];
  /** Effects that are published right after the record. */
  readonly ahead?: Ahead;
  /** The last record of a holder that stopped: nothing was in a handler when its process ended. */
  readonly clean?: true;
  /** Of a projection: what its entries were folded by from their first event on. */
  readonly shape?: string;
  /** It still reads the compacted home, and nothing of the log: which process it is that tries, counting those that died. */
  readonly joining?: number;
}

/** Suspects: positions above the floor that are not completed, up to one. They are tried before anything else. */
export interface Trial {
  readonly upTo: number;
  /** How many they are at most. */
  readonly count: number;
  /** Those that ran last. */
  readonly marker?: Marker;
}

export interface Marker {
  /** In rising order. */
  readonly seqs: readonly number[];
  /** How many of them run at once. */
  readonly size: number;
  /** How often the process has died while it ran; of a group nobody can tell which one it was. */
  readonly deaths: number;
  /** They run now. */
  readonly active: boolean;
}

const format = 1;
// Whoever does not know these must not take such a ledger over: effects would be lost, or positions of further streams,
// whose events would then be folded again.
const formatAhead = 2;
const formatStreams = 3;
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

export function encodeRecord(record: LedgerRecord): Uint8Array {
  const c = record.counts;
  return packr.pack([
    formatOf(record),
    record.epoch,
    record.instance,
    record.commit,
    [c.delivered, c.handled, c.duplicate, c.expired, c.retrying, c.dead, c.filtered],
    record.inputs.map((i) => [i.stream, i.createdMs, i.floor, deltas(i.floor, i.above)]),
    ...more(record),
  ]);
}

function formatOf({ inputs, ahead }: LedgerRecord): number {
  if (inputs.length > 1) return formatStreams;
  return ahead === undefined ? format : formatAhead;
}

/** Throws `EDDY_LEDGER_UNREADABLE` for bytes that no version of this runtime wrote. */
export function decodeRecord(bytes: Uint8Array): LedgerRecord {
  try {
    const [version, epoch, instance, commit, c, inputs, added] = unpackr.unpack(bytes) as Wire;
    if (version !== format && version !== formatAhead && version !== formatStreams)
      throw new RangeError(`format ${String(version)}`);
    const [delivered, handled, duplicate, expired, retrying, dead, filtered = 0] = c;
    return {
      epoch,
      instance,
      commit,
      counts: { delivered, handled, duplicate, filtered, expired, retrying, dead },
      inputs: inputs.map(([stream, createdMs, floor, above], at) => {
        const trial = at === 0 ? added?.trial : added?.trials?.[at];
        const input = { stream, createdMs, floor, above: sums(floor, above) };
        return trial == null ? input : { ...input, trial: trialOf(trial) };
      }),
      ...(added?.ahead === undefined ? {} : { ahead: aheadOf(added.ahead) }),
      ...(added?.clean === true ? { clean: true } : {}),
      ...(added?.shape === undefined ? {} : { shape: added.shape }),
      ...(added?.joining === undefined ? {} : { joining: added.joining }),
    };
  } catch (cause) {
    throw new EddyError(
      "EDDY_LEDGER_UNREADABLE",
      "a ledger record cannot be read: it was written by a newer runtime, or not by one. " +
        "Start the runtime that wrote it, or remove the record to begin the handler anew",
      {},
      { cause },
    );
  }
}

type Wire = [
  version: unknown,
  epoch: number,
  instance: string,
  commit: number,
  /** The last one is newer than some records. */
  counts: [number, number, number, number, number, number, number?],
  inputs: [stream: string, createdMs: number, floor: number, above: number[]][],
  /** What few records have. A runtime that does not know it yet reads the others all the same. */
  added?: Added,
];

interface Added {
  clean?: true;
  /** Of the first input. */
  trial?: WireTrial;
  /** Of the others, by their place; null for one that has none. */
  trials?: (WireTrial | null)[];
  ahead?: WireAhead;
  shape?: string;
  joining?: number;
}

type WireAhead = [
  since: number,
  messages: [natsSubject: string, lines: string, data: Uint8Array][],
];

function wireAhead({ since, messages }: Ahead): WireAhead {
  return [since, messages.map((m) => [m.natsSubject, m.headerLines, m.data])];
}

function aheadOf([since, messages]: WireAhead): Ahead {
  return {
    since,
    messages: messages.map(([natsSubject, headerLines, data]) => ({
      natsSubject,
      headerLines,
      data,
    })),
  };
}

type WireTrial = [upTo: number, count: number, marker?: WireMarker];
type WireMarker = [seqs: number[], size: number, deaths: number, active: boolean];

function more({ clean, inputs, ahead, shape, joining }: LedgerRecord): [] | [Added] {
  const trial = inputs[0]?.trial;
  const others = inputs.slice(1).some((input) => input.trial !== undefined) ? inputs : undefined;
  if ((clean ?? trial ?? others ?? ahead ?? shape ?? joining) === undefined) return [];
  const wire = ({ trial }: InputRecord, at: number) =>
    at === 0 || trial === undefined ? null : wireTrial(trial);
  return [
    {
      ...(clean === undefined ? {} : { clean }),
      ...(trial === undefined ? {} : { trial: wireTrial(trial) }),
      ...(others === undefined ? {} : { trials: others.map(wire) }),
      ...(ahead === undefined ? {} : { ahead: wireAhead(ahead) }),
      ...(shape === undefined ? {} : { shape }),
      ...(joining === undefined ? {} : { joining }),
    },
  ];
}

function wireTrial({ upTo, count, marker }: Trial): WireTrial {
  if (marker === undefined) return [upTo, count];
  return [upTo, count, [deltas(0, marker.seqs), marker.size, marker.deaths, marker.active]];
}

function trialOf([upTo, count, marker]: WireTrial): Trial {
  if (marker === undefined) return { upTo, count };
  const [seqs, size, deaths, active] = marker;
  return { upTo, count, marker: { seqs: sums(0, seqs), size, deaths, active } };
}

function deltas(floor: number, above: Intervals): number[] {
  let before = floor;
  return above.map((seq) => {
    const delta = seq - before;
    before = seq;
    return delta;
  });
}

function sums(floor: number, deltas: readonly number[]): number[] {
  let seq = floor;
  return deltas.map((delta) => {
    seq += delta;
    return seq;
  });
}
