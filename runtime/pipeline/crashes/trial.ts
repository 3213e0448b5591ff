// The suspects of a crash in one stream, tried before anything else of their handler goes on: each behind a stored marker,
// so that the next start knows what ran if the process dies again.
// Stands between the consumer and the session while a trial is on; afterwards it hands on what comes.
// T1 What runs is marked before it runs, and runs at once: a death while it waited would count against it. T2 One that is tried alone is stored before the next one is marked, unless it
// takes long; groups follow each other, and the marker names all that may still run. T3 Behind the last suspect nothing runs before the record says that the trial is over.
import type { Delivery } from "../../broker/index.ts";
import type { Intake } from "../intake.ts";
import { joined } from "../joined.ts";
import type { InputRecord, Trial } from "../ledger/record.ts";
import type { Scope } from "../scope.ts";
import type { Session } from "../session.ts";
import { signal } from "../signal.ts";
import { collectArrivals } from "./arrivals.ts";
import { crashError } from "./letter.ts";
import { storeNote } from "./note.ts";
import { isTried, lookAhead, nextStep, type Step } from "./steps.ts";
import { treatmentIn } from "./suspects.ts";

export interface Trying {
  take(message: Delivery): void;
  /** Deliveries that have arrived and wait for their turn. */
  readonly held: number;
  readonly hasRoom: boolean;
  /** Tries them; false where the session ends before no suspect is left. What comes behind them waits all the same. */
  run(): Promise<boolean>;
  /** Hands on what waits, and what comes. */
  free(): void;
  /** Tries no more. What runs may still be concluded. */
  end(): void;
}

export interface TryingParts {
  readonly scope: Scope;
  readonly session: Session;
  readonly intake: Intake;
  readonly trial: Trial;
  readonly input: InputRecord;
}

/** How long an event that did not run when the process died may hold up the next one; a slow one runs on beside it. */
const patienceMs = 500;
const lingeringMax = 64;
const groupsAtOnce = 3; // while one is stored, the next ones run; a marker names no more
const lateMs = 5;

export function createTrial({ scope, session, intake, trial, input }: TryingParts): Trying {
  const { gate, deathsMax } = scope.crashes;
  const treat = treatmentIn(trial, input, deathsMax);
  const arrivals = collectArrivals(scope, intake.stream, () => intake.received);
  const { held } = arrivals;
  const ending = signal<void>();
  let ended = false;
  let free = false;
  let lingering: number[] = []; // named by the last marker, and perhaps still running
  let leave: (() => void) | undefined;
  let sizeBefore = 0;
  const settled = joined(() => untilSettled(scope, session));

  async function run(): Promise<boolean> {
    while (!ended) {
      const step = await arrivals.until(() => {
        const seqs = held.slice(0, lookAhead).map(({ seq }) => seq);
        return nextStep(seqs, treat, arrivals.endWith(seqs.length));
      });
      if (step === undefined || !scope.alive()) return false;
      if (step.kind === "over") break;
      await take(step);
    }
    await concluded();
    return !ended && (await storeNote(scope, intake.stream, undefined));
  }

  async function take(step: Exclude<Step, { kind: "over" }>): Promise<void> {
    switch (step.kind) {
      case "pass":
        return hand(1);
      case "try":
        return await tryThese(step);
      case "dead": {
        await concluded();
        const [message] = ended ? [] : arrivals.take(1);
        if (message === undefined) return;
        intake.condemn(message, crashError(scope.handler().name, step.deaths));
        return await concluded();
      }
    }
  }

  async function tryThese(step: Step & { kind: "try" }): Promise<void> {
    const { count, size, deaths, marked } = step;
    const alone = size === 1 && deaths + 1 >= deathsMax;
    const whole = alone || marked;
    const full = lingering.length + count > (size === 1 ? lingeringMax : groupsAtOnce * size);
    if (whole || full || size !== sizeBefore) await concluded();
    sizeBefore = size;
    if (ended) return;
    leave ??= await gate.enter(alone);
    await Promise.race([intake.foreseen(held.slice(0, count)), ending.promise]);
    if (ended) return;
    const seqs = held.slice(0, count).map(({ seq }) => seq);
    lingering = [...lingering, ...seqs.filter((seq) => isTried(treat(seq)))];
    const marker = { seqs: lingering, size, deaths, active: true };
    if (!(await storeNote(scope, intake.stream, { ...trial, marker })) || ended) return;
    hand(count);
    if (size > 1) return;
    if (!whole) await Promise.race([settled(), pause(patienceMs), ending.promise]);
    if (whole || session.inFlight === 0) await concluded();
  }

  function hand(count: number): void {
    for (const message of arrivals.take(count)) intake.take(message);
  }

  // All that was handed on has its outcome, and it is stored.
  async function concluded(): Promise<void> {
    await Promise.race([settled(), ending.promise]);
    if (ended) return;
    lingering = [];
    leave?.();
    leave = undefined;
  }

  return {
    take(message) {
      if (free) intake.take(message);
      else arrivals.add(message);
    },
    get held() {
      return held.length;
    },
    get hasRoom() {
      return arrivals.hasRoom;
    },
    run: () => run().finally(() => leave?.()),
    free() {
      free = true;
      for (const message of arrivals.take(held.length)) intake.take(message);
    },
    end() {
      ended = true;
      leave?.();
      arrivals.end();
      ending.resolve();
    },
  };
}

async function untilSettled(scope: Scope, session: Session): Promise<void> {
  for (;;) {
    await session.quiet();
    await scope.committer.settled();
    if (session.inFlight === 0 || !scope.alive()) return;
    await pause(lateMs); // what the server refused becomes a letter first
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
