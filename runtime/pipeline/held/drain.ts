// Letting keys go: what was parked runs, in stream order and in the key's lane, until nothing is left or one fails.
// D1 A key has one drain. D2 It finds out that nothing is left in the key's lane, so that nothing is being parked then.
// D3 What it runs is not run again before the outcome of that is stored: by then its standing says so.
// D4 It leaves the lane now and then, so that what came meanwhile is parked and does not hold up the floor.
// D5 What runs is marked before, some at a time. Of those that were marked when the process died each has a marker of
// its own from then on, and only deaths behind that one count; before its last one it runs while nobody else tries any.
import { keyOf, type Position, type Token, untoken } from "../../events/index.ts";
import { concludeDead } from "../conclude.ts";
import { contractError } from "../contract.ts";
import { crashError } from "../crashes/letter.ts";
import { storeFenced } from "../crashes/note.ts";
import { gone, makeJob, uncertain } from "../retry/due.ts";
import { standingMessage } from "../retry/standing.ts";
import { hasEvent, type Job, type Scope } from "../scope.ts";
import { type Found, findSome, listNow } from "./next-parked.ts";
import { dropParked } from "./parking.ts";
import type { Attempt, Turn } from "./queues.ts";
import type { HeldTable } from "./table.ts";

export interface DrainParts {
  readonly scope: Scope;
  readonly table: HeldTable;
  readonly enter: (lane: Token, turn: Turn) => void;
  readonly attempt: Attempt;
  /** Nothing is parked of the key any more. Called in its lane. */
  readonly free: (lane: Token) => void;
}

/** How far one drain has come. */
interface Drain {
  listed: boolean;
  positions: Position[]; // listed, not read yet
  found: Found[]; // read, not run yet
  marked: number; // that many of them, the first ones
}

const turnMs = 100;

export function createDrains({ scope, table, enter, attempt, free }: DrainParts) {
  const active = new Map<Token, Drain>();
  let stopped = false;

  function start(lane: Token): void {
    const known = active.get(lane); // it failed on one and has not noticed yet
    if (known !== undefined) {
      Object.assign(known, nothingYet());
      return;
    }
    const drain = nothingYet();
    active.set(lane, drain);
    next(lane, drain);
  }

  function next(lane: Token, drain: Drain): void {
    enter(lane, (leave) => {
      void turn(lane, drain).finally(() => {
        if (goesOn(lane)) next(lane, drain);
        else active.delete(lane);
        leave();
      });
    });
  }

  function goesOn(lane: Token): boolean {
    if (stopped || scope.around.stopping.over || !scope.alive()) return false;
    return table.get(lane)?.held.kind === "draining";
  }

  async function turn(lane: Token, drain: Drain): Promise<void> {
    const endMs = performance.now() + turnMs;
    while (goesOn(lane) && performance.now() < endMs) {
      if (drain.found.length === 0) await read(lane, drain);
      const found = drain.found.shift();
      if (found !== undefined && goesOn(lane)) await run(lane, drain, found);
    }
  }

  async function read(lane: Token, drain: Drain): Promise<void> {
    if (drain.positions.length === 0) {
      if (drain.listed && !table.arrived.has(lane)) {
        free(lane);
        return;
      }
      table.arrived.delete(lane);
      const positions = await listNow(scope, lane);
      if (positions === undefined) return;
      drain.positions = positions.filter(({ seq }) => !table.running.has(seq)); // D3
      drain.listed = true;
    }
    drain.found = await findSome(scope, lane, drain.positions);
  }

  async function run(lane: Token, drain: Drain, found: Found): Promise<void> {
    if (found.judgement === "uncertain") return await conclude(lane, found);
    const { deathsMax, gate } = scope.crashes;
    if (found.deaths < 0) {
      if (drain.marked === 0) drain.marked = await mark(scope, withFollowers(found, drain.found));
      if (drain.marked-- > 0) await conclude(lane, found);
      return;
    }
    if (found.deaths >= deathsMax) return await conclude(lane, found);
    const leave = await gate.enter(found.deaths + 1 >= deathsMax);
    try {
      if (!goesOn(lane) || (await mark(scope, [found])) === 0) return;
      await conclude(lane, found);
      await scope.committer.settled();
    } finally {
      leave();
    }
  }

  async function conclude(lane: Token, found: Found): Promise<void> {
    const { seq } = found.parcel.original.position;
    table.running.set(seq, lane);
    const job = makeJob(found.whole ?? found.parcel, scope, () => {
      table.running.delete(seq);
      dropParked(scope.broker, scope.handler().name, lane, found).catch(() => {}); // a later drain finds it done
    });
    job.key = keyIn(scope, lane, job);
    await concludeParked(scope, job, found, attempt);
  }

  return {
    start,
    stop() {
      stopped = true;
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

function withFollowers(first: Found, rest: readonly Found[]): Found[] {
  const end = rest.findIndex(({ judgement, deaths }) => judgement !== "run" || deaths >= 0);
  return [first, ...(end === -1 ? rest : rest.slice(0, end))];
}

function nothingYet(): Drain {
  return { listed: false, positions: [], found: [], marked: 0 };
}
