// Runs a contest: its ways one after the other, round by round, in reversed order every second round, so that what
// a machine does over time (caches, clocks, neighbours) meets all of them alike. Owns the order, not the runs.
import { type Row, type RowSpec, rowOf, type Sample } from "./row.ts";
import type { Stores } from "./stores.ts";
import type { Workers } from "./workers.ts";

/** How large a bench is, and what its runs share. */
export interface Bench {
  readonly quick: boolean;
  readonly rounds: number;
  /** Events in a backlog. */
  readonly events: number;
  /** Events that each run handles before it is measured; 0: it is measured cold. */
  readonly warmUp: number;
  readonly stores: Stores;
  readonly workers: Workers;
}

/** Several ways to do one thing, measured side by side. */
export interface Contest {
  readonly rows: readonly RowSpec[];
  /** Needs what `bench/package.json` names. */
  readonly peers?: true;
  /** Measures a way once, in fresh processes. `run` tells runs apart. */
  measure(way: string, run: string): Promise<Sample>;
}

/** Measures the wanted rows, and only the ways that they need. */
export async function runContest(
  contest: Contest,
  wanted: readonly RowSpec[],
  rounds: number,
  onRun: (text: string) => void,
): Promise<Row[]> {
  const ways = waysOf(wanted);
  const samples = new Map<string, Sample[]>(ways.map((way) => [way, []]));
  for (let round = 0; round < rounds; round++) {
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      onRun(`${wanted[0]?.name}: ${way}, round ${round + 1} of ${rounds}`);
      samples.get(way)?.push(await contest.measure(way, `${way}-${round}`));
    }
  }
  return wanted.map((spec) => rowOf(spec, samples));
}

function waysOf(rows: readonly RowSpec[]): string[] {
  const named = rows.flatMap(({ ours, reference }) => [ours, reference]);
  return [...new Set(named.filter((way) => typeof way === "string"))];
}
