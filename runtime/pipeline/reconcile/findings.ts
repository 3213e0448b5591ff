// What is wrong with one handler's account, as findings that name it. Pure: what was read comes in as data.
// F1 A finding is something missing, doubled, without a cause, or counts that differ. F2 What was cut from the head of
// the stream, or cannot be known, is a note and no finding.
import type { LetterReason } from "../outcome.ts";
import type { Account } from "./account.ts";
import { parkedAttempt } from "./standings.ts";
import type { Tallied } from "./tally.ts";

export interface Finding {
  readonly kind: "missing" | "doubled" | "causeless" | "counts";
  /** What is missing; absent for the other kinds. */
  readonly what?: "outcome" | "retry" | "letter";
  /** Position in `stream`; in the home stream where that is absent. */
  readonly seq?: number;
  readonly stream?: string;
  readonly source?: string;
  readonly id?: string;
  readonly text: string;
}

/** What was read beside the log. */
export interface Beside {
  /** `<seq>.<attempt>` of what waits on a backoff subject, has come due, or is parked. */
  readonly retries: ReadonlySet<string>;
  /** Letters by position. */
  readonly letters: ReadonlyMap<number, LetterReason>;
  /** The stream holds all that was ever stored in it. */
  readonly whole: boolean;
  readonly firstSeq: number;
}

export interface Judged {
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
}

/** A handler's account of one of its streams, and what was read beside that. */
export interface Part {
  readonly account: Account;
  readonly beside: Beside;
}

/** Of one handler; the part of the home stream first, whose tally is that of all. */
export function judgeHandler(parts: readonly [Part, ...Part[]]): Judged {
  const [{ account, beside }, ...further] = parts;
  const tallied = account.tally.result();
  return {
    findings: [
      ...outcomes(tallied),
      ...retries(account, beside),
      ...letters(account, beside),
      ...further.flatMap((part) =>
        [...retries(part.account, part.beside), ...letters(part.account, part.beside)].map(
          (finding): Finding => ({ ...finding, stream: part.account.stream }),
        ),
      ),
      ...effects(account, beside),
      ...counts(parts, tallied),
    ],
    notes: [
      ...notes(account, tallied),
      ...parts.flatMap((part, at) =>
        notesOfStream(part, at === 0 ? undefined : part.account.stream),
      ),
    ],
  };
}

function outcomes({ gaps }: Tallied): Finding[] {
  return gaps.flatMap(({ count, suspects, suspected }): Finding[] => {
    if (suspects.length === 0) {
      const text = `${count} of ${suspected} events below its floor were not counted: they have no outcome. Were types added to its declaration after it had read them?`;
      return [{ kind: "counts", text }];
    }
    const which =
      count < suspected ? ` (one of ${suspected} positions, of which ${count} are)` : "";
    return suspects.map((seq) => ({
      kind: "missing",
      what: "outcome",
      seq,
      text: `passed by the ledger without an outcome${which}`,
    }));
  });
}

function retries({ standings }: Account, beside: Beside): Finding[] {
  return [...standings.waiting]
    .filter(([seq, attempt]) => !beside.retries.has(`${seq}.${attempt}`))
    .map(([seq, attempt]) => ({
      kind: "missing",
      what: "retry",
      seq,
      text:
        attempt === parkedAttempt
          ? "is parked behind another event of its key, but it is not there"
          : `waits for attempt ${attempt}, but neither its schedule nor a due message is there`,
    }));
}

function letters({ standings }: Account, beside: Beside): Finding[] {
  return [...standings.dead]
    .filter((seq) => !beside.letters.has(seq))
    .map((seq) => ({
      kind: "missing",
      what: "letter",
      seq,
      text: "is dead, but its letter is not there, and nobody discarded it",
    }));
}

function effects({ doubled, causeless, more }: Account, { whole }: Beside): Finding[] {
  const found: Finding[] = doubled.map(({ seq, firstSeq, source, id }) => ({
    kind: "doubled",
    seq,
    source,
    id,
    text: `an effect is stored twice: at ${firstSeq} and at ${seq}`,
  }));
  if (whole) {
    for (const { seq, source, id } of causeless) {
      const text = "an effect follows from no event that is in the stream";
      found.push({ kind: "causeless", seq, source, id, text });
    }
  }
  if (more > 0) found.push({ kind: "counts", text: `${more} more effects are wrong` });
  return found;
}

function counts(parts: readonly Part[], tallied: Tallied): Finding[] {
  const whole = parts.every(({ beside }) => beside.whole);
  const all = (of: (part: Part) => number) => parts.reduce((sum, part) => sum + of(part), 0);
  const found: Finding[] = [];
  const differ = (text: string) => void found.push({ kind: "counts", text });
  const { last, excess, falseDuplicates } = tallied;
  if (last === undefined) return found;
  const { delivered, handled, duplicate, filtered, expired, retrying, dead } = last.counts;
  const sum = handled + duplicate + filtered + expired + retrying + dead;
  if (delivered !== sum) differ(`delivered is ${delivered}, the outcomes are ${sum}`);
  if (falseDuplicates > 0 && whole)
    differ(`${falseDuplicates} events were taken for duplicates, but repeat none in the stream`);
  if (excess > 0) differ(`${excess} events more were counted than it has completed`);
  // What was cut from the head took standings with it: then only the other direction tells.
  const waiting = all(({ account }) => account.stood.waiting);
  if (waiting > retrying || (whole && waiting < retrying))
    differ(`retrying is ${retrying}, waiting are ${waiting}`);
  const kept = all(keptOf);
  const least = all(({ account }) => account.stood.dead) - kept; // one that is discarded was dead or had expired
  const most = least + all(({ account }) => account.stood.discarded);
  if (dead < least || (whole && dead > most))
    differ(`dead is ${dead}, standings say ${least === most ? least : `${least} to ${most}`}`);
  if (expired < kept) differ(`expired is ${expired}, kept as letters are ${kept}`);
  return found;
}

/** What has expired and is kept as a letter. */
function keptOf({ account, beside }: Part): number {
  return [...account.standings.dead].filter((seq) => beside.letters.get(seq) === "expired").length;
}

function notesOfStream({ account, beside }: Part, name: string | undefined): string[] {
  const { causeless, standings } = account;
  const { whole, firstSeq, letters } = beside;
  const of = name === undefined ? "" : ` of ${name}`;
  const said: string[] = [];
  if (!whole)
    said.push(`positions${of} before ${firstSeq} were cut from the head: they are not counted`);
  if (!whole && causeless.length > 0)
    said.push(`${causeless.length} effects follow from events that were cut, or from none`);
  const orphans = [...letters.keys()].filter((seq) => !standings.dead.has(seq)).length;
  if (orphans > 0)
    said.push(
      `${orphans} letters${of} belong to no dead event: a crash left them, or their record was cut`,
    );
  return said;
}

function notes({ subject }: Account, { restarts, unwanted, last }: Tallied): string[] {
  const said: string[] = [];
  if (subject.wants === undefined)
    said.push("its consumer does not say which types it reads: start the runtime once");
  if (last === undefined) said.push("it has no ledger: it never ran, or its ledger was removed");
  if (restarts > 0)
    said.push(`its ledger went back ${restarts} times: steps over that were not compared`);
  if (unwanted > 0)
    said.push(`${unwanted} events were passed before its declaration had their type`);
  return said;
}
