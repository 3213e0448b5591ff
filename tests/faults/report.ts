// Rows as the table that people read, and that docs/faults.md holds. Pure.
import type { Row } from "./fault.ts";

const columns = [
  "fault",
  "injected",
  "events",
  "lost",
  "doubled",
  "out of order",
  "miscounted",
  "longest gap",
  "memory",
];

export function asTable(rows: readonly Row[]): string {
  const lines = [columns, columns.map(() => "---"), ...rows.map(cellsOf)];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  const text = lines.map((line) => {
    const cells = line.map((cell, at) =>
      cell === "---" ? "-".repeat(widths[at] ?? 3) : cell.padEnd(widths[at] ?? 0),
    );
    return `| ${cells.join(" | ")} |\n`;
  });
  const notes = rows.flatMap(({ fault, notes, holds }) =>
    notes.map((note) => `${holds ? "" : "FAIL "}${fault}: ${note}\n`),
  );
  return [...text, ...(notes.length > 0 ? ["\n", ...notes] : [])].join("");
}

/** A row while others still run. */
export function asLine(row: Row): string {
  const { injected, events, lost, doubled, disordered, miscounted, gapMs, seconds } = row;
  const head = `${row.holds ? "ok  " : "FAIL"} ${row.fault}, ${seconds} s`;
  if (lost === null) return `${head}: ${row.notes.join("; ")}`;
  const counted = `injected ${injected}, ${events} events, lost ${lost}, doubled ${doubled}, out of order ${disordered}, miscounted ${miscounted}, gap ${gapMs} ms`;
  return [`${head}: ${counted}`, ...(row.holds ? [] : row.notes)].join("; ");
}

function cellsOf(row: Row): string[] {
  const { fault, injected, events, lost, doubled, disordered, miscounted, gapMs, rssMb } = row;
  if (lost === null) return [fault, ...columns.slice(1).map(() => "-")];
  const counted = [injected, events, lost, doubled, disordered, miscounted].map(String);
  const gap = gapMs === null ? "-" : `${(gapMs / 1_000).toFixed(1)} s`;
  return [fault, ...counted, gap, rssMb === null ? "-" : `${rssMb[0]} → ${rssMb[1]} MB`];
}
