// Retries, letters that are given back and what was parked may end the process as well: before each of them runs, its
// standing says by which instance. R1 Those that ran when an instance died have a marker of their own from then on, and only
// deaths behind that one count: they were hundreds, perhaps. R2 Before its last death one runs while nobody else tries any.
import { EddyError } from "../../events/index.ts";
import { concludeDead } from "../conclude.ts";
import { type Standing, type Started, standingMessage, startedOf } from "../retry/standing.ts";
import type { Job, Scope } from "../scope.ts";
import { crashError } from "./letter.ts";
import { storeFenced } from "./note.ts";
import type { Predecessor } from "./suspects.ts";

export interface Again {
  /** Runs the event, or makes it a dead letter. Rejects where nothing was decided. */
  run(job: Job, standing: Standing | undefined, takeAgain: (job: Job) => void): Promise<void>;
  /** Holds up nobody any more. */
  end(): void;
}

export function createAgain(scope: Scope): Again {
  const { instance, deathsMax, gate, before } = scope.crashes;
  const holding = new Set<() => void>();
  let ended = false;

  return {
    async run(job, standing, takeAgain) {
      const deaths = deathsOf(standing, before);
      if (deaths >= deathsMax) {
        const { name } = scope.handler();
        return await concludeDead(scope, job, "crash", crashError(name, deaths));
      }
      const leave = deaths < 0 ? () => {} : await gate.enter(deaths + 1 >= deathsMax);
      holding.add(leave);
      const done = () => {
        holding.delete(leave);
        leave();
      };
      try {
        if (ended) throw stopped();
        await markStarted(scope, job, standing, { instance, deaths });
        const onStored = () => {
          done();
          job.onStored?.();
        };
        takeAgain({ ...job, onStored });
      } catch (error) {
        done();
        throw error;
      }
    },
    end() {
      ended = true;
      for (const leave of holding) leave();
      holding.clear();
    },
  };
}

/** How often an instance has died behind its own marker; -1 where none has while it ran. */
export function deathsOf(standing: Standing | undefined, before: Predecessor | undefined): number {
  const started = startedOf(standing);
  if (started === undefined) return -1;
  const died = before?.died === true && before.instance === started.instance;
  return started.deaths + (died ? 1 : 0);
}

// What it stood at before stays: of a letter that it is dead, of a retry for which attempt it waits, or that it is parked.
async function markStarted(
  scope: Scope,
  job: Job,
  standing: Standing | undefined,
  started: Started,
): Promise<void> {
  const stays = standing?.kind === "waiting" || standing?.kind === "parked";
  const next: Standing = stays ? { ...standing, started } : { kind: "dead", started };
  const message = standingMessage(scope.ledger.place, job.position, next);
  if (!(await storeFenced(scope, [message]))) throw stopped();
}

function stopped(): EddyError {
  return new EddyError("EDDY_STOPPED", "the ledger was given up before the attempt began");
}
