// Why an entry is what it is: the events of its key, each with what it did to it, or why it did nothing. Pure.
// H1 Bounded by rows and by bytes: the newest are kept, and how many older ones there were is counted.
import { describeThrown, nameOf, positionText } from "../../events/index.ts";
import type { Step } from "../../pipeline/index.ts";
import { isSameState } from "./same.ts";

/** An event of the key, as it is told. */
export interface HistoryRow {
  readonly position: string;
  /** When it was stored, RFC 3339. */
  readonly stored: string;
  readonly source: string;
  readonly id: string;
  readonly type: string;
  /** The event's own time, where it has one. */
  readonly time?: string;
  readonly what:
    | "set"
    | "removed"
    | "unchanged"
    | "duplicate"
    | "filtered"
    | "expired"
    | "dead"
    | "discarded"
    | "waiting"
    | "failed";
  /** The state that it made. */
  readonly value?: unknown;
  /** What else is to know. */
  readonly note?: string;
}

export interface Rows {
  add(step: Step): void;
  /** Oldest first. */
  list(): readonly HistoryRow[];
  /** Older ones that were not kept. */
  readonly older: number;
}

type Told = Pick<HistoryRow, "what" | "note">;

const bytesMax = 16 * 2 ** 20;
const rowBytes = 200; // beside what it names

export function createRows(limit: number): Rows {
  const kept: { readonly row: HistoryRow; readonly state?: string; readonly bytes: number }[] = [];
  let bytes = 0;
  let older = 0;
  let state: string | undefined;
  return {
    add(step) {
      const told = toldOf(step, state);
      if (step.kind === "folded") state = step.state;
      const made = told.what === "set" && state !== undefined ? { state } : {};
      const row = rowOf(step, told);
      const size = rowBytes + row.id.length + row.source.length + (made.state?.length ?? 0) * 2;
      kept.push({ row, ...made, bytes: size });
      bytes += size;
      while (kept.length > limit || (bytes > bytesMax && kept.length > 1)) {
        bytes -= kept.shift()?.bytes ?? 0;
        older++;
      }
    },
    list: () =>
      kept.map(({ row, state }) =>
        state === undefined ? row : { ...row, value: JSON.parse(state) },
      ),
    get older() {
      return older;
    },
  };
}

function rowOf({ position, storedMs, event }: Step, told: Told): HistoryRow {
  const { source, id, type, time } = event;
  return {
    position: positionText(position),
    stored: new Date(storedMs).toISOString(),
    source,
    id,
    type,
    ...(time === undefined ? {} : { time }),
    ...told,
  };
}

function toldOf(step: Step, before: string | undefined): Told {
  switch (step.kind) {
    case "folded": {
      const note = step.retried ? { note: retriedNote } : {};
      if (isSameState(before, step.state)) return { what: "unchanged", ...note };
      return { what: step.state === undefined ? "removed" : "set", ...note };
    }
    case "duplicate": {
      const first = positionText({ stream: step.position.stream, seq: step.firstSeq });
      return { what: "duplicate", note: `the same event stands at ${first} already` };
    }
    case "filtered":
      return { what: "filtered", note: "left out by the projection's where" };
    case "expired":
      return { what: "expired", note: `was too old when it was stored (${step.policy})` };
    case "dead":
      return deadOf(step);
    case "discarded":
      return { what: "discarded", note: "was dead, and its letter was discarded" };
    case "waiting":
      return { what: "waiting", note: "failed, and waits for its next attempt" };
    case "parked":
      return { what: "waiting", note: "waits behind an earlier event of its key" };
    case "failed":
      return {
        what: "failed",
        note: `left out: ${describeThrown(step.cause).message.slice(0, 500)}`,
      };
    default:
      return step satisfies never;
  }
}

function deadOf({ letter }: Extract<Step, { kind: "dead" }>): Told {
  if (letter === undefined) return { what: "dead" };
  const what = letter.reason === "expired" ? "expired" : "dead";
  return { what, note: `letter ${letter.letter}, ${letter.reason}: ${letter.error}` };
}

const retriedNote =
  "succeeded at a retry, or was given back: later events of its key may have been folded before it";

/** The event that made a state, in a sentence. */
export function madeBy({ event, position, storedMs }: Step): string {
  return `${nameOf(event)} at ${positionText(position)}, stored ${new Date(storedMs).toISOString()}`;
}
