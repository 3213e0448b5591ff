// Which event ended the process? The ones that were in flight are suspects, and only these; what is stored about them
// says what to try next. Pure.
// X1 Only the death of a process makes suspects: an end that a holder recorded does not, nor is one dead that still pulls
// when another one takes over. X2 A death is counted against
// an event that ran alone, in flight or behind its marker, and against no other. X3 A death behind the marker of a group counts
// against nobody: it says where to look. X4 An event that has its outcome is no suspect any more, whatever it was.
import { holds } from "../ledger/floor.ts";
import type { InputRecord, LedgerRecord, Marker, Trial } from "../ledger/record.ts";

/** What the server had delivered when a holder ended. */
export interface Delivered {
  readonly upTo: number;
  /** Not acked: at most these were in flight. */
  readonly unacked: number;
  /** Somebody asks for more: whoever holds the ledger lives. The server forgets the requests of who is gone. */
  readonly pulled: boolean;
}

/** Who held the ledger before. */
export interface Predecessor {
  readonly instance: string;
  /** It did not record its end. */
  readonly died: boolean;
}

/** Up to here each suspect has a marker of its own from the start. */
const fewSuspects = 64;
/** More are tried in groups, so that an ordinary crash under load costs no time: as many as may run side by side, and
 * those of a group that ended the process in smaller ones, until each is alone. */
const groupSizes = [256, 16, 1] as const;

export function predecessorOf(
  before: LedgerRecord,
  instance: string,
  /** Of each of its inputs. */
  delivered: readonly (Delivered | undefined)[],
): Predecessor {
  const ended = before.instance !== instance && before.clean === undefined;
  const died = ended && delivered.every((one) => one?.pulled !== true);
  return { instance: before.instance, died };
}

/** The trial of one input with which the next holder begins; undefined where nobody is suspect. */
export function trialAfter(
  before: Trial | undefined,
  died: boolean,
  input: InputRecord,
  delivered: Delivered | undefined,
): Trial | undefined {
  const trial = before ?? (died ? firstTrial(delivered) : undefined);
  if (trial === undefined) return undefined;
  const count = Math.min(trial.count, openBelow(input, trial.upTo));
  if (count <= 0) return undefined;
  const { upTo, marker } = trial;
  const left = marker?.seqs.filter((seq) => !isCompleted(input, seq)) ?? [];
  if (marker === undefined || left.length === 0) return { upTo, count };
  return { upTo, count, marker: markerAfter({ ...marker, seqs: left }, marker, died) };
}

function markerAfter(left: Marker, ran: Marker, died: boolean): Marker {
  const next = { ...left, active: false };
  if (!died || !ran.active) return next;
  if (ran.seqs.length === 1) return { ...next, size: 1, deaths: ran.deaths + 1 };
  return { ...next, size: groupSizes.find((size) => size < ran.size) ?? 1 };
}

function firstTrial(delivered: Delivered | undefined): Trial | undefined {
  if (delivered === undefined) return undefined;
  return { upTo: delivered.upTo, count: delivered.unacked };
}

function openBelow({ floor, above }: InputRecord, upTo: number): number {
  let open = upTo - floor;
  for (let at = 0; at < above.length; at += 2) {
    const [from, to] = [above[at] as number, Math.min(above[at + 1] as number, upTo)];
    if (to >= from) open -= to - from + 1;
  }
  return open;
}

function isCompleted({ floor, above }: InputRecord, seq: number): boolean {
  return seq <= floor || holds(above, seq);
}

/** How an event is treated that is delivered during a trial. */
export type Treatment =
  /** Nobody's suspect: an earlier life completed it. */
  | { readonly kind: "completed" }
  /** Runs with others behind one marker. */
  | { readonly kind: "group"; readonly size: number }
  /** Runs alone; `marked` where it was among those that ran when the process died. */
  | { readonly kind: "alone"; readonly deaths: number; readonly marked: boolean }
  | { readonly kind: "dead"; readonly deaths: number }
  /** Behind the last suspect: the trial is over. */
  | { readonly kind: "free" };

/** What to do with each event, from how the trial began: conclusions since then do not matter to it. */
export function treatmentIn(
  trial: Trial,
  input: InputRecord,
  deathsMax: number,
): (seq: number) => Treatment {
  const { marker } = trial;
  const marked = new Set(marker?.seqs);
  const few = trial.count <= fewSuspects;
  const deaths = trial.count === 1 ? 1 : 0; // of one that was in flight with others nobody knows whether it was that
  return (seq) => {
    if (marker !== undefined && marked.has(seq)) return markedTreatment(marker, deathsMax);
    if (seq > trial.upTo) return { kind: "free" };
    if (isCompleted(input, seq)) return { kind: "completed" };
    return few ? { kind: "alone", deaths, marked: false } : { kind: "group", size: groupSizes[0] };
  };
}

function markedTreatment({ deaths, size }: Marker, deathsMax: number): Treatment {
  if (deaths >= deathsMax) return { kind: "dead", deaths };
  return size === 1 ? { kind: "alone", deaths, marked: true } : { kind: "group", size };
}
