// A rebuild: the new version of a projection is folded beside the old one, which goes on, and takes its place in a turn.
// R1 Nothing that a reader sees changes before the turn, and nothing is left behind where it does not come to it.
// R2 What the new version has folded when it takes over is exactly what the ledger says is completed.

import { setTimeout as sleep } from "node:timers/promises";
import type { Handler } from "../../authoring/index.ts";
import { readMessage } from "../../broker/index.ts";
import { EddyError, type Position } from "../../events/index.ts";
import type { HandlerState } from "../facts.ts";
import { readAllHeld } from "../held/records.ts";
import { holds } from "../ledger/floor.ts";
import { decodeRecord, type InputRecord } from "../ledger/record.ts";
import type { Holding } from "../log/beginning.ts";
import type { RepeatOf } from "../log/repeats.ts";
import { removeLetterOf } from "../retry/letters.ts";
import type { Standing } from "../retry/standing.ts";
import { announce } from "./announce.ts";
import { type Beginning, beginningOf, checkHeads, type From } from "./beginning.ts";
import { differingKeys } from "./difference.ts";
import type { Fenced } from "./fenced.ts";
import { createPast, type Past, type PastParts, type Reach } from "./past.ts";
import { shapeOf } from "./shape.ts";
import { readStandings, standingAt } from "./standings.ts";
import { makeSwitch } from "./switch.ts";
import type { Work } from "./turns.ts";

export interface RebuildParts extends Omit<PastParts, "onRead" | "beginning"> {
  /** Tells repeats of a stream up to a position. */
  repeatsUpTo(holding: Holding, seq: number): Promise<RepeatOf>;
  readonly from?: From;
  readonly onProgress?: (progress: RebuildProgress) => void;
}

export interface RebuildProgress {
  /** All up to here has been read, of all up to there: a position, or those of several streams together. */
  readonly at: number;
  readonly to: number;
  readonly events: number;
  readonly perSecond: number;
  readonly leftMs: number;
}

export interface Rebuilt {
  readonly events: number;
  readonly entries: number;
  /** Entries that were written or removed. */
  readonly changed: number;
  readonly ms: number;
  /** So many of the events are of the compacted home: the log's head is gone. */
  readonly compacted?: number;
}

/** Whose ledger it is. */
export interface Holder {
  /** The version that runs. */
  readonly handler: Handler;
  readonly state: HandlerState;
  /** `next` runs from the turn on. */
  turn(work: Work, next?: Handler): Promise<void>;
}

const nearPositions = 4_000; // so few are read while the projection stands still
const fewEntries = 500;

/** Rebuilds while the holder goes on. */
export async function rebuildBeside(
  parts: RebuildParts,
  holder: Holder,
  next?: Handler,
): Promise<Rebuilt> {
  const { broker, handler, place } = parts;
  const before = shapeOf(holder.handler);
  await untilRunning(holder, parts.signal);
  const rebuild = await begin(parts, await storedInputs(parts));
  const { past } = rebuild;
  const announced = await announce(broker, place);
  let rebuilt: Rebuilt | undefined;
  try {
    await past.readState();
    for (let left = Number.POSITIVE_INFINITY; left > nearPositions; ) {
      await untilRunning(holder, parts.signal);
      await readTo(parts, rebuild, reachOf(rebuild, await storedInputs(parts)));
      left = lengthOf(reachOf(rebuild, await storedInputs(parts))) - lengthOf(past.reached);
    }
    if (past.states.size > fewEntries) await announced.untilKnown(); // else it is one batch, most likely
    const work: Work = async (fenced) => {
      if (shapeOf(holder.handler) !== before) throw changedMeanwhile(handler);
      const [after, changed] = await finish(parts, rebuild, fenced, announced.untilKnown);
      rebuilt = rebuild.resultOf(changed);
      return after;
    };
    await holder.turn(work, next);
    return rebuilt ?? rebuild.resultOf(0);
  } finally {
    await announced.end().catch(() => {}); // goes by itself
  }
}

const startMsMax = 10_000;

/** Also of one that takes its ledger over anew at the moment. */
async function untilRunning(holder: Holder, signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; waitedMs < startMsMax && holder.state === "starting"; waitedMs += 100) {
    await sleep(100);
    signal.throwIfAborted();
  }
  if (holder.state !== "running") throw notHere(holder.handler);
}

/** How far the ledger is in each stream, as it is stored. */
async function storedInputs({ broker, place }: RebuildParts): Promise<readonly InputRecord[]> {
  const last = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger });
  return last === undefined ? [] : decodeRecord(last.data).inputs;
}

/** Rebuilds within a turn: nothing is folded meanwhile. */
export async function rebuildHeld(parts: RebuildParts, fenced: Fenced): Promise<Fenced> {
  const rebuild = await begin(parts, fenced.record.inputs);
  const announced = await announce(parts.broker, parts.place);
  try {
    await rebuild.past.readState();
    const [after] = await finish(parts, rebuild, fenced, announced.untilKnown);
    return after;
  } finally {
    await announced.end().catch(() => {});
  }
}

/** One that is under way. */
interface Rebuild {
  readonly beginning: Beginning;
  readonly past: Past;
  /** What is being read. */
  goal: Reach;
  resultOf(changed: number): Rebuilt;
}

async function begin(parts: RebuildParts, inputs: readonly InputRecord[]): Promise<Rebuild> {
  const { broker, handler } = parts;
  const beginning = await beginningOf(broker, handler, inputs, parts.from);
  const began = performance.now();
  const past = createPast({ ...parts, beginning, onRead });
  const start = lengthOf(past.reached);
  const rebuild: Rebuild = {
    ...{ beginning, past, goal: past.reached },
    resultOf(changed) {
      const { events, states, ofState } = past;
      const ms = performance.now() - began;
      const compacted = beginning.state === undefined ? {} : { compacted: ofState };
      return { events, entries: states.size, changed, ms, ...compacted };
    },
  };

  function onRead({ reached, events }: Past): void {
    const [at, to] = [lengthOf(reached), lengthOf(rebuild.goal)];
    const ms = performance.now() - began;
    const share = (at - start) / Math.max(1, to - start);
    const leftMs = share > 0 ? (ms / share) * (1 - share) : 0;
    parts.onProgress?.({ at, to, events, perSecond: (events / Math.max(1, ms)) * 1_000, leftMs });
  }
  return rebuild;
}

function lengthOf(reach: Reach): number {
  let sum = 0;
  for (const seq of reach.values()) sum += seq;
  return sum;
}

/** Up to where each stream is completed, above what has been read of it. */
function reachOf(
  { beginning, past }: Rebuild,
  inputs: readonly InputRecord[],
  endOf = ({ floor }: InputRecord) => floor,
): Reach {
  const ends = beginning.inputs.map(({ stream, holding }): [string, number] => {
    const input = inputs.find((one) => isOf(one, holding));
    const at = past.reached.get(stream) ?? 0;
    return [stream, input === undefined ? at : Math.max(at, endOf(input))];
  });
  return new Map(ends);
}

function isOf({ stream, createdMs }: InputRecord, holding: Holding): boolean {
  return stream === holding.stream && createdMs === holding.createdMs;
}

async function readTo(
  parts: RebuildParts,
  rebuild: Rebuild,
  to: Reach,
  wanted?: (stream: string, seq: number) => boolean,
): Promise<void> {
  const { beginning, past } = rebuild;
  rebuild.goal = to;
  const repeats = new Map<string, RepeatOf>();
  for (const { stream, holding } of beginning.inputs) {
    const end = to.get(stream) ?? 0;
    if (end > (past.reached.get(stream) ?? 0))
      repeats.set(stream, await parts.repeatsUpTo(holding, end));
  }
  await past.read(to, repeats, wanted);
}

// While the ledger is held: the rest, the difference, the switch.
async function finish(
  parts: RebuildParts,
  rebuild: Rebuild,
  fenced: Fenced,
  untilKnown: () => Promise<void>,
): Promise<[after: Fenced, changed: number]> {
  const { broker, handler, place } = parts;
  const { beginning, past } = rebuild;
  const { inputs } = fenced.record;
  const byStream = new Map(inputs.map((input) => [input.stream, input]));
  const isCompleted = (stream: string, seq: number) => {
    const input = byStream.get(stream);
    return input !== undefined && (seq <= input.floor || holds(input.above, seq));
  };
  const last = ({ floor, above }: InputRecord) => Math.max(floor, above.at(-1) ?? 0);
  await readTo(parts, rebuild, reachOf(rebuild, inputs, last), isCompleted);
  await checkHeads(broker, handler, beginning);
  if ((await readAllHeld(broker, place, fenced.seq)).size > 0) throw keysHeld(handler);
  const { states } = past;
  const differing = await differingKeys(broker, place, handler.name, states, beginning.whole);
  const mended = await mendedNow(parts, rebuild);
  const shape = shapeOf(handler);
  const after = await makeSwitch(broker, fenced, { states, differing, mended, shape, untilKnown });
  // Nothing runs them again: their events are done.
  for (const at of mended.keys()) await removeLetterOf(broker, handler.name, at).catch(() => {});
  return [after, differing.length];
}

/** What was folded and still waits, or is dead. */
async function mendedNow({ broker, place }: RebuildParts, { beginning, past }: Rebuild) {
  const found = new Map<Position, Standing["kind"]>();
  if (past.mended.length === 0) return found;
  const streams = beginning.inputs.map(({ stream }) => stream);
  const standings = await readStandings(broker, place, streams);
  for (const position of past.mended) {
    const kind = standingAt(standings, position)?.kind;
    if (kind === "waiting" || kind === "dead") found.set(position, kind);
  }
  return found;
}

/** Whoever waits for a turn waits in vain. */
export function notHere({ name }: Handler): EddyError {
  const text = `projection ${name} does not run here any more: its entries are as they were. Ask again`;
  return new EddyError("EDDY_REBUILD_FAILED", text, { projection: name });
}

function changedMeanwhile({ name }: Handler): EddyError {
  const text = `projection ${name} was changed again while it was rebuilt: its entries are as they were. Ask again`;
  return new EddyError("EDDY_REBUILD_FAILED", text, { projection: name });
}

function keysHeld({ name }: Handler): EddyError {
  const text =
    `projection ${name} was not rebuilt: events of some keys wait behind one that failed, and their order would be lost. ` +
    `Its entries are as they were. See: eddy lanes. Replay or release them first`;
  return new EddyError("EDDY_REBUILD_HELD", text, { projection: name });
}
