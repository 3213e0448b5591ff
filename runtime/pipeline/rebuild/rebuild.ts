// A rebuild: the new version of a projection is folded beside the old one, which goes on, and takes its place in a turn.
// R1 Nothing that a reader sees changes before the turn, and nothing is left behind where it does not come to it.
// R2 What the new version has folded when it takes over is exactly what the ledger says is completed.

import { setTimeout as sleep } from "node:timers/promises";
import type { Handler } from "../../authoring/index.ts";
import { EddyError, type Position } from "../../events/index.ts";
import type { HandlerState } from "../facts.ts";
import { readAllHeld } from "../held/records.ts";
import { holds } from "../ledger/floor.ts";
import type { InputRecord } from "../ledger/record.ts";
import { removeLetterOf } from "../retry/letters.ts";
import type { Standing } from "../retry/standing.ts";
import { announce } from "./announce.ts";
import { type Beginning, beginningOf, checkHead, type From } from "./beginning.ts";
import { differingKeys } from "./difference.ts";
import type { Fenced } from "./fenced.ts";
import { createPast, type Past, type PastParts, type RepeatOf } from "./past.ts";
import { shapeOf } from "./shape.ts";
import { readStandings } from "./standings.ts";
import { makeSwitch } from "./switch.ts";
import type { Work } from "./turns.ts";

export interface RebuildParts extends Omit<PastParts, "onRead"> {
  /** Tells repeats up to a position. */
  repeatsUpTo(seq: number, createdMs: number): Promise<RepeatOf>;
  readonly from?: From;
  readonly onProgress?: (progress: RebuildProgress) => void;
}

export interface RebuildProgress {
  /** All up to here has been read, of all up to there. */
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
}

/** Whose ledger it is. */
export interface Holder {
  /** The version that runs. */
  readonly handler: Handler;
  readonly state: HandlerState;
  /** All up to here is completed and stored, while it runs. */
  readonly floor: number;
  /** `next` runs from the turn on. */
  turn(work: Work, next?: Handler): Promise<void>;
}

const nearPositions = 4_000; // so few are read while the projection stands still
const fewEntries = 500;
const nothing: Rebuilt = { events: 0, entries: 0, changed: 0, ms: 0 };

/** Rebuilds while the holder goes on. */
export async function rebuildBeside(
  parts: RebuildParts,
  holder: Holder,
  next?: Handler,
): Promise<Rebuilt> {
  const { broker, handler, place } = parts;
  const before = shapeOf(holder.handler);
  const beginning = await beginningOf(broker, handler, parts.from);
  const { past, progress } = startPast(parts, beginning);
  const announced = await announce(broker, place);
  let rebuilt = nothing;
  try {
    for (let at = beginning.first - 1; ; ) {
      const to = await floorOf(holder, parts.signal);
      progress.to = to;
      await past.read(at + 1, to, await parts.repeatsUpTo(to, beginning.home.createdMs));
      at = Math.max(at, to);
      if (holder.floor - at > nearPositions) continue;
      if (past.states.size > fewEntries) await announced.untilKnown(); // else it is one batch, most likely
      const work: Work = async (fenced, input) => {
        if (shapeOf(holder.handler) !== before) throw changedMeanwhile(handler);
        const [after, changed] = await finish(
          parts,
          { past, beginning, at, fenced, input },
          announced.untilKnown,
        );
        rebuilt = { events: past.events, entries: past.states.size, changed, ms: progress.ms };
        return after;
      };
      await holder.turn(work, next);
      return rebuilt;
    }
  } finally {
    await announced.end().catch(() => {}); // goes by itself
  }
}

const startMsMax = 10_000;

/** The floor, also of one that takes its ledger over anew at the moment. */
async function floorOf(holder: Holder, signal: AbortSignal): Promise<number> {
  for (let waitedMs = 0; waitedMs < startMsMax && holder.state === "starting"; waitedMs += 100) {
    await sleep(100);
    signal.throwIfAborted();
  }
  if (holder.state !== "running") throw notHere(holder.handler);
  return holder.floor;
}

/** Rebuilds within a turn: nothing is folded meanwhile. */
export async function rebuildHeld(
  parts: RebuildParts,
  fenced: Fenced,
  input: InputRecord,
): Promise<Fenced> {
  const { broker, handler, place } = parts;
  const beginning = await beginningOf(broker, handler, parts.from);
  const { past, progress } = startPast(parts, beginning);
  progress.to = input.floor;
  const announced = await announce(broker, place);
  try {
    const at = beginning.first - 1;
    const [after] = await finish(
      parts,
      { past, beginning, at, fenced, input },
      announced.untilKnown,
    );
    return after;
  } finally {
    await announced.end().catch(() => {});
  }
}

function startPast(parts: RebuildParts, { first }: Beginning) {
  const began = performance.now();
  const progress = {
    to: first - 1,
    get ms() {
      return performance.now() - began;
    },
  };
  const onRead = (at: number, events: number) => {
    const { ms, to } = progress;
    const share = (at - first + 1) / Math.max(1, to - first + 1);
    const leftMs = share > 0 ? (ms / share) * (1 - share) : 0;
    parts.onProgress?.({ at, to, events, perSecond: (events / Math.max(1, ms)) * 1_000, leftMs });
  };
  return { past: createPast({ ...parts, onRead }), progress };
}

interface Finishing {
  readonly past: Past;
  readonly beginning: Beginning;
  /** All up to here is folded. */
  readonly at: number;
  readonly fenced: Fenced;
  readonly input: InputRecord;
}

// While the ledger is held: the rest, the difference, the switch.
async function finish(
  parts: RebuildParts,
  { past, beginning, at, fenced, input }: Finishing,
  untilKnown: () => Promise<void>,
): Promise<[after: Fenced, changed: number]> {
  const { broker, handler, place } = parts;
  const to = Math.max(input.floor, input.above.at(-1) ?? 0);
  const isCompleted = (seq: number) => seq <= input.floor || holds(input.above, seq);
  await past.read(at + 1, to, await parts.repeatsUpTo(to, beginning.home.createdMs), isCompleted);
  await checkHead(broker, handler, beginning);
  if ((await readAllHeld(broker, place, fenced.seq)).size > 0) throw keysHeld(handler);
  const { states } = past;
  const differing = await differingKeys(broker, place, handler.name, states, beginning.whole);
  const mended = await mendedNow(parts, past);
  const shape = shapeOf(handler);
  const after = await makeSwitch(broker, fenced, { states, differing, mended, shape, untilKnown });
  // Nothing runs them again: their events are done.
  for (const at of mended.keys()) await removeLetterOf(broker, handler.name, at).catch(() => {});
  return [after, differing.length];
}

/** What was folded and still waits, or is dead. */
async function mendedNow({ broker, place }: RebuildParts, { mended }: Past) {
  const found = new Map<Position, Standing["kind"]>();
  if (mended.size === 0) return found;
  for (const [seq, { kind }] of await readStandings(broker, place)) {
    if (!mended.has(seq) || (kind !== "waiting" && kind !== "dead")) continue;
    found.set({ stream: broker.home, seq }, kind);
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
