// Rows as a person reads them.
import type { Row } from "./row.ts";

export function tableOf(rows: readonly Row[]): string {
  const head = ["row", "ours", "reference", "unit", "ratio", "spread", "CPU", "goal", "holds"];
  const lines = [head, ...rows.map(cellsOf)];
  const widths = head.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

function cellsOf(row: Row): string[] {
  const { spread, cpuRatio, goal } = row;
  return [
    row.name,
    shown(row.ours),
    shown(row.reference),
    row.unit,
    `${shown(row.ratio)} x`,
    `${shown(spread[0])} to ${shown(spread[1])}`,
    cpuRatio === undefined ? "" : `${shown(cpuRatio)} x`,
    goal,
    goal === "" ? "" : row.holds ? "yes" : "NO",
  ];
}

function shown(value: number): string {
  return value.toLocaleString("en-US", { maximumSignificantDigits: value < 100 ? 3 : 21 });
}
