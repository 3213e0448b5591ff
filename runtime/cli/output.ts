// What commands print: JSON for scripts, aligned columns for people. Text from outside is made safe for a terminal.
import { printable } from "../observe/index.ts";

export function print(text = ""): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** One value a line, for streams of them. */
export function printJsonLine(value: unknown): void {
  print(JSON.stringify(value));
}

type Cell = string | number | undefined;

const cellCharsMax = 60;
const lastCellCharsMax = 160; // nothing stands to its right

/** Columns under a head, two spaces apart; numbers stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => {
    return row.map((cell, n) =>
      cellText(cell, n < row.length - 1 ? cellCharsMax : lastCellCharsMax),
    );
  });
  const widths = head.map((name, n) =>
    Math.max(name.length, ...texts.map((row) => lengthOf(row[n] ?? ""))),
  );
  const line = (cells: readonly string[], numeric: (n: number) => boolean) =>
    cells
      .map((cell, n) => pad(cell, widths[n] ?? 0, numeric(n)))
      .join("  ")
      .trimEnd();
  const isNumber = (n: number) =>
    rows.length > 0 && rows.every((row) => typeof row[n] === "number");
  return [line(head, isNumber), ...texts.map((row) => line(row, isNumber))].join("\n");
}

function cellText(cell: Cell, charsMax: number): string {
  if (cell === undefined) return "-";
  const text = printable(String(cell));
  return lengthOf(text) > charsMax ? `${[...text].slice(0, charsMax - 1).join("")}…` : text;
}

function pad(text: string, width: number, right: boolean): string {
  const space = " ".repeat(Math.max(0, width - lengthOf(text)));
  return right ? space + text : text + space;
}

function lengthOf(text: string): number {
  return [...text].length;
}

/** A value on one line, cut where it is long. */
export function brief(value: unknown, charsMax: number): string {
  if (value === undefined) return "";
  const text = value instanceof Uint8Array ? `${value.length} bytes` : JSON.stringify(value);
  const safe = printable(text ?? "");
  return safe.length > charsMax ? `${safe.slice(0, charsMax - 1)}…` : safe;
}
