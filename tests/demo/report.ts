// What the demo shows: a progress bar while it plays, tables or JSON at the end.
import { SingleBar } from "cli-progress";
import Table from "cli-table3";
import type { Effects } from "./effects.ts";
import type { Pass } from "./play.ts";

export interface Report {
  readonly passes: readonly Pass[];
  readonly effects: Effects;
}

/** A bar on a terminal, and nothing where output goes to a file or a program. */
export function progressBar(title: string, total: number, shown: boolean) {
  if (!shown) return { step() {}, stop() {} };
  const bar = new SingleBar({
    format: `${title} {bar} {value}/{total}, {duration} s`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    hideCursor: true,
  });
  bar.start(total, 0);
  return { step: () => bar.increment(), stop: () => bar.stop() };
}

export function asJson({ passes, effects: { handlers, projections, dead } }: Report): string {
  return JSON.stringify({ passes, handlers: handlers.map(handlerRow), projections, dead }, null, 2);
}

export function asTables({ passes, effects: { handlers, projections, dead } }: Report): string {
  const played = table(["pass", "sent", "stored", "duplicates"]);
  passes.forEach((pass, n) => {
    played.push([n + 1, pass.sent, pass.stored, pass.duplicates]);
  });
  const handled = table(["handler", "kind", "delivered", "handled", "duplicate", "dead"]);
  for (const row of handlers) {
    handled.push([row.name, row.kind, row.delivered, row.handled, row.duplicate, row.dead]);
  }
  const views = table(["projection", "entries"]);
  for (const { name, entries } of projections) views.push([name, entries]);
  return [played, handled, views, `dead letters: ${dead}`].join("\n");
}

function table(head: string[]) {
  const colAligns = head.map((name) => (words.has(name) ? "left" : "right"));
  return new Table({ head, colAligns, style: { head: [], border: [], compact: true } });
}

const words = new Set(["handler", "kind", "projection"]);

/** The fields of `eddy handlers --json`, in its order. */
function handlerRow(row: Effects["handlers"][number]) {
  const { name, kind, file, version, state } = row;
  const { delivered, handled, duplicate, filtered, expired, retrying, dead, lag } = row;
  const counts = { delivered, handled, duplicate, filtered, expired, retrying, dead, lag };
  return { name, kind, file, version, state, ...counts };
}
