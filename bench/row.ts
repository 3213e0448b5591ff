// What is measured and what is printed. Pure.
// R1 A row is a ratio of medians, ours to the reference; its spread is the lowest and highest ratio of one round.

/** What one run gave, by measure. All runs of a way give the same measures. */
export type Sample = Readonly<Record<string, number>>;

export type Goal =
  | { readonly kind: "at least" | "at most"; readonly ratio: number }
  /** By so much more, in the row's unit. */
  | { readonly kind: "at most more"; readonly more: number }
  /** Shown, not judged: our share of what the server alone can do. */
  | { readonly kind: "none" };

export const atLeast = (ratio: number): Goal => ({ kind: "at least", ratio });
export const atMost = (ratio: number): Goal => ({ kind: "at most", ratio });
export const atMostMore = (more: number): Goal => ({ kind: "at most more", more });
export const shownOnly: Goal = { kind: "none" };

/** A row to be measured: one measure of two ways, or of one way against a fixed limit. */
export interface RowSpec {
  readonly name: string;
  readonly ours: string;
  readonly reference: string | number;
  readonly measure: string;
  readonly unit: string;
  readonly goal: Goal;
}

/** A row that was measured, as `--json` prints it. */
export interface Row {
  readonly name: string;
  readonly ours: number;
  readonly reference: number;
  readonly unit: string;
  readonly ratio: number;
  readonly goal: string;
  readonly holds: boolean;
  /** Lowest and highest ratio of one round. */
  readonly spread: readonly [number, number];
  /** Processor time of the client process for each event, ours to the reference's. */
  readonly cpuRatio?: number;
}

export function rowOf(spec: RowSpec, samples: ReadonlyMap<string, readonly Sample[]>): Row {
  const of = (way: string, measure: string) =>
    (samples.get(way) ?? []).map((sample) => sample[measure] ?? Number.NaN);
  const ours = of(spec.ours, spec.measure);
  const reference =
    typeof spec.reference === "number"
      ? ours.map(() => Number(spec.reference))
      : of(spec.reference, spec.measure);
  const rounds = ours.map((value, round) => value / (reference[round] ?? Number.NaN));
  const ratio = median(ours) / median(reference);
  const cpu =
    spec.measure === "rate" && typeof spec.reference === "string"
      ? median(of(spec.ours, "cpuUs")) / median(of(spec.reference, "cpuUs"))
      : Number.NaN;
  return {
    name: spec.name,
    ours: short(median(ours)),
    reference: short(median(reference)),
    unit: spec.unit,
    ratio: short(ratio),
    goal: textOf(spec.goal),
    holds: meets(spec.goal, ratio, median(ours) - median(reference)),
    spread: [short(Math.min(...rounds)), short(Math.max(...rounds))],
    ...(Number.isNaN(cpu) ? {} : { cpuRatio: short(cpu) }),
  };
}

function textOf(goal: Goal): string {
  switch (goal.kind) {
    case "none":
      return "";
    case "at most more":
      return `at most ${goal.more} more`;
    default:
      return `${goal.kind} ${goal.ratio}`;
  }
}

function meets(goal: Goal, ratio: number, more: number): boolean {
  switch (goal.kind) {
    case "none":
      return true;
    case "at most more":
      return more <= goal.more;
    case "at least":
      return ratio >= goal.ratio;
    case "at most":
      return ratio <= goal.ratio;
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2;
}

/** Three significant digits, and whole numbers above a hundred. */
function short(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
