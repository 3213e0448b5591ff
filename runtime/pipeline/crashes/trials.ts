// The suspects of a crash in all streams of a handler: tried stream by stream, and then all goes on at once.
// T1 Nothing that is no suspect runs before each suspect has its outcome. T2 Streams without suspects wait as well.
import type { InputRecord } from "../ledger/record.ts";
import type { Scope } from "../scope.ts";
import type { Session } from "../session.ts";
import { createTrial, type Trying } from "./trial.ts";

export interface Trials {
  /** The trial of a stream; undefined where it has no suspects. */
  of(stream: string): Trying | undefined;
  /** How many suspects there are at most. */
  readonly count: number;
  /** Resolves once no suspect is left; never where the session ends before. */
  readonly over: Promise<void>;
  /** Tries no more. What runs may still be concluded. */
  end(): void;
}

/** Undefined where nobody is suspect. */
export function startTrials(
  scope: Scope,
  session: Session,
  inputs: readonly InputRecord[],
): Trials | undefined {
  const trials = new Map<string, Trying>();
  let count = 0;
  for (const [at, intake] of session.intakes.entries()) {
    const input = inputs[at];
    if (input?.trial === undefined) continue;
    const { trial } = input;
    trials.set(intake.stream, createTrial({ scope, session, intake, trial, input }));
    count += trial.count;
  }
  if (trials.size === 0) return undefined;
  return {
    of: (stream) => trials.get(stream),
    count,
    over: new Promise((resolve) => {
      void tryAll([...trials.values()], resolve);
    }),
    end() {
      for (const trial of trials.values()) trial.end();
    },
  };
}

async function tryAll(trials: readonly Trying[], onOver: () => void): Promise<void> {
  for (const trial of trials) if (!(await trial.run())) return;
  for (const trial of trials) trial.free();
  onOver();
}
