// A projection's past, folded anew and aside: from the log, by one version, into memory. Stores nothing.
// P1 Each event is folded at most once, in stream order for each key. What several streams hold of one key is folded in
// the order in which it was stored, as far as it is read together.
// P2 A live handler is held up for one chunk at most.
import { readMerged } from "../../broker/index.ts";
import type { Position } from "../../events/index.ts";
import { filterOf } from "../consume.ts";
import type { RepeatOf } from "../log/repeats.ts";
import { createSight } from "../log/sight.ts";
import type { Beginning } from "./beginning.ts";
import { createFolding, type FoldingParts, type See } from "./folding.ts";
import type { States } from "./states.ts";

export interface PastParts extends FoldingParts {
  readonly beginning: Beginning;
  readonly signal: AbortSignal;
  /** More was read. */
  readonly onRead: (past: Past) => void;
}

/** A position of each stream. */
export type Reach = ReadonlyMap<string, number>;

export interface Past {
  /** Folds what stands for a head that is gone, where the beginning says so. Before all else. */
  readState(): Promise<void>;
  /** Folds the log from where it was read up to; `wanted` leaves out positions of it. */
  read(to: Reach, repeats: ReadonlyMap<string, RepeatOf>, wanted?: Wanted): Promise<void>;
  /** All up to here was read. */
  readonly reached: Reach;
  readonly states: States;
  /** Positions that wait for a retry or are dead, and were folded here. */
  readonly mended: readonly Position[];
  /** How many events were folded, and how many of them for a head that is gone. */
  readonly events: number;
  readonly ofState: number;
}

type Wanted = (stream: string, seq: number) => boolean;

const togetherMin = 500; // messages of several streams: some follow each other closely

export function createPast(parts: PastParts): Past {
  const { broker, handler, signal, beginning } = parts;
  const streams = beginning.inputs.map(({ stream }) => stream);
  const reached = new Map(beginning.inputs.map(({ stream, first }) => [stream, first - 1]));
  const folding = createFolding(parts);
  let ofState = 0;

  /** Ends a chunk: all else has its turn. */
  async function settle(): Promise<void> {
    await folding.settle();
    parts.onRead(past);
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
  }

  function seeing(stream: string, repeatOf: RepeatOf, wanted: Wanted | undefined): See {
    const see = createSight(handler, stream, repeatOf);
    const state = stream === broker.home ? beginning.state : undefined;
    if (wanted === undefined && state === undefined) return see;
    return (message) => {
      const { natsSubject, seq } = message;
      const isLeft = wanted?.(stream, seq) !== false && state?.has(natsSubject, seq) !== true;
      return isLeft ? see(message) : undefined;
    };
  }

  const past: Past = {
    async readState() {
      if (beginning.state === undefined) return;
      await folding.lookAside(streams);
      const sights = new Map<string, See>();
      for await (const chunk of beginning.state.read()) {
        for (const { stream, message } of chunk) {
          const see = sights.get(stream) ?? createSight(handler, stream, isFirst);
          sights.set(stream, see);
          await folding.take([message], see);
        }
        await settle();
      }
      ofState = folding.events;
    },
    async read(to, repeats, wanted) {
      await folding.lookAside(streams);
      const filter = filterOf(handler);
      const ranges = streams
        .map((stream) => {
          const from = (reached.get(stream) ?? 0) + 1;
          return { stream, filter, from, to: to.get(stream) ?? 0 };
        })
        .filter((range) => range.from <= range.to);
      const sights = new Map(
        ranges.map(({ stream }) => [
          stream,
          seeing(stream, repeats.get(stream) ?? isFirst, wanted),
        ]),
      );
      let taken = 0;
      for await (const { stream, deliveries } of readMerged(broker, ranges)) {
        await folding.take(deliveries, sights.get(stream) ?? isNothing);
        reached.set(stream, deliveries.at(-1)?.seq ?? 0);
        taken += deliveries.length;
        if (ranges.length > 1 && taken < togetherMin) continue;
        await settle();
        taken = 0;
      }
      for (const range of ranges) reached.set(range.stream, range.to);
      await settle();
    },
    reached,
    states: folding.states,
    mended: folding.mended,
    get events() {
      return folding.events;
    },
    get ofState() {
      return ofState;
    },
  };
  return past;
}

const isFirst = () => 0;
const isNothing = () => undefined;
