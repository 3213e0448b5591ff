// Questions about a projection's past: an entry at a moment, its history, and what changed between two moments.
// T1 A question holds a place until its work has ended, also where nobody waits for it any more; beyond `atOnce` it is
// refused. T2 An aborted question stops reading at its next slice of the log. T3 Nothing is stored.
import { EddyError, type Position, positionText } from "../../events/index.ts";
import { checkUncut, foldPast, type Step, type When, whenText } from "../../pipeline/index.ts";
import { answered } from "../answered.ts";
import { type Differences, differencesIn, type Page } from "./difference.ts";
import {
  type Asking,
  checkBegun,
  type Ground,
  groundOf,
  type Moment,
  momentOf,
  rangesUpTo,
  streamsFor,
} from "./ground.ts";
import { createRows, type HistoryRow, madeBy } from "./history.ts";

export interface EntryThen extends Moment {
  /** Undefined where there was no entry. */
  readonly value: unknown;
  /** The event that made it so, in a sentence; undefined where none had. */
  readonly by: string | undefined;
}

export interface History extends Moment {
  readonly rows: readonly HistoryRow[];
  /** Rows before those. */
  readonly older: number;
}

export interface Between extends Differences {
  readonly from: Position;
  readonly to: Position;
  /** `to` is the end of the log. */
  readonly present: boolean;
}

/** All throw what is said in ground.ts, and `EDDY_PAST_BUSY`; an aborted one throws its signal's reason. */
export interface Past {
  /** @throws EddyError `EDDY_PAST_BEFORE` */
  at(name: string, key: string, when: When, signal: AbortSignal): Promise<EntryThen>;
  /** The newest `limit` events of a key. */
  history(name: string, key: string, limit: number, signal: AbortSignal): Promise<History>;
  /** @throws EddyError `EDDY_PAST_ORDER`, `EDDY_PAST_TOO_LARGE` */
  between(name: string, from: When, to: When, page: Page, signal: AbortSignal): Promise<Between>;
  /** The streams whose positions can be asked for, first the one of a bare sequence. */
  streams(name: string): readonly string[];
}

const end: When = { kind: "time", atMs: Number.MAX_SAFE_INTEGER };

/** `atOnce`: so many questions are worked on side by side. */
export function openPast(asking: Asking, atOnce: number): Past {
  const { broker } = asking;
  let running = 0;

  async function inTurn<T>(
    name: string,
    signal: AbortSignal,
    work: (ground: Ground) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    if (running >= atOnce) throw busy(atOnce);
    running++;
    const working = workOn(name, signal, work).finally(() => running--);
    return await unlessAborted(signal, answered(working));
  }

  async function workOn<T>(
    name: string,
    signal: AbortSignal,
    work: (ground: Ground) => Promise<T>,
  ): Promise<T> {
    const ground = await groundOf(asking, name, signal);
    const found = await work(ground);
    await checkUncut(broker, ground.handler, ground.extents);
    return found;
  }

  async function eachStep(
    ground: Ground,
    key: string,
    moment: Moment,
    onStep: (step: Step) => void,
  ): Promise<void> {
    const ranges = rangesUpTo(ground, moment);
    const parts = await ground.parts(moment);
    for await (const steps of foldPast(parts, ranges, new Map(), (other) => other === key))
      for (const step of steps) onStep(step);
  }

  return {
    streams: (name) => streamsFor(asking, name),
    at: (name, key, when, signal) =>
      inTurn(name, signal, async (ground) => {
        const moment = await momentOf(broker, ground, when);
        checkBegun(ground, when, moment);
        let state: string | undefined;
        let by: string | undefined;
        await eachStep(ground, key, moment, (step) => {
          if (step.kind !== "folded") return;
          state = step.state;
          by = madeBy(step);
        });
        return { ...moment, value: state === undefined ? undefined : JSON.parse(state), by };
      }),
    history: (name, key, limit, signal) =>
      inTurn(name, signal, async (ground) => {
        const moment = await momentOf(broker, ground, end);
        const rows = createRows(limit);
        await eachStep(ground, key, moment, rows.add);
        return { ...moment, rows: rows.list(), older: rows.older };
      }),
    between: (name, from, to, page, signal) =>
      inTurn(name, signal, async (ground) => {
        const first = await momentOf(broker, ground, from);
        const last = await momentOf(broker, ground, to);
        if (isBehind(first, last)) throw reversed(from, first, to, last);
        const parts = await ground.parts(last);
        const before = rangesUpTo(ground, first);
        const found = await differencesIn(parts, before, rangesUpTo(ground, last, first), page);
        return { from: first.at, to: last.at, present: last.present, ...found };
      }),
  };
}

function isBehind({ upTo }: Moment, to: Moment): boolean {
  return [...upTo].some(([stream, seq]) => seq > (to.upTo.get(stream) ?? 0));
}

function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function busy(atOnce: number): EddyError {
  const text = `${atOnce} questions about the past are worked on already, and each reads much of the log. Ask again later`;
  return new EddyError("EDDY_PAST_BUSY", text);
}

function reversed(from: When, first: Moment, to: When, last: Moment): EddyError {
  const text =
    `from (${meant(from, first)}) is later than to (${meant(to, last)}): ` +
    "ask the other way round";
  return new EddyError("EDDY_PAST_ORDER", text);
}

function meant(when: When, { at }: Moment): string {
  const text = whenText(when);
  const position = positionText(at);
  return text === position ? text : `${text}, which is ${position}`;
}
