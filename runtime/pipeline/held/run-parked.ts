// One parked event that runs, in its key's lane: marked before, and concluded like all others.
// P1 What runs is marked before, some at a time. Of those that were marked when the process died each has a marker of
// its own from then on, and only deaths behind that one count; before its last one it runs while nobody else tries any.
// P2 What it runs is not run again before the outcome of that is stored: by then its standing says so.
import { keyOf, type Token, untoken } from "../../events/index.ts";
import { concludeDead, concludeFiltered } from "../conclude.ts";
import { contractError, isLeftOut } from "../contract.ts";
import { crashError } from "../crashes/letter.ts";
import { storeFenced } from "../crashes/note.ts";
import { gone, makeJob, uncertain } from "../retry/due.ts";
import { standingMessage } from "../retry/standing.ts";
import { hasEvent, type Job, type Scope } from "../scope.ts";
import type { Found } from "./next-parked.ts";
import { dropParked } from "./parking.ts";
import type { Attempt } from "./queues.ts";
import type { HeldTable } from "./table.ts";

export interface ParkedRuns {
  /** Whether it ran when the process died, and is not known to be the reason: it runs with a turn at the gate. */
  isTried(found: Found): boolean;
  /** Runs one, and marks it and what follows where none of them is. `marked` are the next ones that are; gives how
   * many are afterwards. */
  run(lane: Token, found: Found, rest: readonly Found[], marked: number): Promise<number>;
  /** Runs a suspect behind a marker of its own, and waits until what became of it is stored. */
  tryOne(lane: Token, found: Found): Promise<void>;
}

export function createParkedRuns(scope: Scope, table: HeldTable, attempt: Attempt): ParkedRuns {
  const { deathsMax } = scope.crashes;

  async function conclude(lane: Token, found: Found): Promise<void> {
    const { position } = found.parcel.original;
    table.begin(position, lane);
    const job = makeJob(found.whole ?? found.parcel, scope, () => {
      table.over(position);
      dropParked(scope.broker, scope.handler().name, lane, found).catch(() => {}); // a later drain finds it done
    });
    job.key = keyIn(scope, lane, job);
    await concludeParked(scope, job, found, attempt);
  }

  return {
    isTried: ({ judgement, deaths }) => judgement === "run" && deaths >= 0 && deaths < deathsMax,
    async run(lane, found, rest, marked) {
      let left = marked;
      if (found.judgement === "run" && found.deaths < 0) {
        if (left === 0) left = await mark(scope, [found, ...followersIn(rest)]);
        if (left === 0) return 0; // the session is over
        left--;
      }
      await conclude(lane, found);
      return left;
    },
    async tryOne(lane, found) {
      if ((await mark(scope, [found])) === 0) return;
      await conclude(lane, found);
      await scope.committer.settled();
    },
  };
}

async function concludeParked(
  scope: Scope,
  job: Job,
  { judgement, deaths, whole, parcel }: Found,
  attempt: Attempt,
): Promise<void> {
  if (judgement === "uncertain") {
    return await concludeDead(scope, job, "uncertain", uncertain(parcel));
  }
  if (deaths >= scope.crashes.deathsMax) {
    return await concludeDead(scope, job, "crash", crashError(scope.handler().name, deaths));
  }
  if (whole === undefined || !hasEvent(job)) {
    return await concludeDead(scope, job, "undecodable", gone(parcel));
  }
  if (isLeftOut(scope.handler(), job.event)) return concludeFiltered(scope, job);
  const broken = contractError(scope.handler(), job.event);
  if (broken !== undefined) return await concludeDead(scope, job, "schema", broken);
  await new Promise<void>((leave) => attempt(job, leave));
}

// A projection that computes other keys by now must not fold into one entry from two lanes: the key is the lane's.
function keyIn(scope: Scope, lane: Token, { event }: Job): string {
  const byLane = untoken(lane) ?? "";
  if (scope.handler().declaration.kind === "projection" || event === undefined) return byLane;
  return keyOf(event);
}

/** Says of what is to run next that it runs now; how many that are, 0 where the session is over. */
async function mark(scope: Scope, found: readonly Found[]): Promise<number> {
  const { instance } = scope.crashes;
  const messages = found.map(({ parcel, deaths }) => {
    const started = { instance, deaths };
    const { position } = parcel.original;
    return standingMessage(scope.ledger.place, position, { kind: "parked", started });
  });
  return (await storeFenced(scope, messages)) ? found.length : 0;
}

function followersIn(rest: readonly Found[]): readonly Found[] {
  const end = rest.findIndex(({ judgement, deaths }) => judgement !== "run" || deaths >= 0);
  return end === -1 ? rest : rest.slice(0, end);
}
