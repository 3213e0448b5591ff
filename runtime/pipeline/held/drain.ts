// Letting keys go: what was parked runs, in stream order and in the key's lane, until nothing is left or one fails.
// D1 A key has one drain. D2 It finds out that nothing is left in the key's lane, so that nothing is being parked then.
// D3 What it runs is not run again before the outcome of that is stored: by then its standing says so.
// D4 It leaves the lane now and then, so that what came meanwhile is parked and does not hold up the floor.
import { keyOf, type Position, type Token, untoken } from "../../events/index.ts";
import { concludeDead } from "../conclude.ts";
import { contractError } from "../contract.ts";
import { createAgain } from "../crashes/again.ts";
import { gone, makeJob, uncertain } from "../retry/due.ts";
import { type EventJob, hasEvent, type Job, type Scope } from "../scope.ts";
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
}

const turnMs = 100;

export function createDrains({ scope, table, enter, attempt, free }: DrainParts) {
  const active = new Map<Token, Drain>();
  const again = createAgain(scope);
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
      if (found !== undefined && goesOn(lane)) await run(lane, found);
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

  async function run(lane: Token, found: Found): Promise<void> {
    const { seq } = found.parcel.original.position;
    table.running.set(seq, lane);
    const job = makeJob(found.whole ?? found.parcel, scope, () => {
      table.running.delete(seq);
      dropParked(scope.broker, scope.handler().name, lane, found).catch(() => {}); // a later drain finds it done
    });
    job.key = keyIn(scope, lane, job);
    await conclude(scope, job, found, runOnce);
  }

  // What ends the process is found out here as well.
  async function runOnce(job: EventJob, { standing }: Found): Promise<void> {
    let over: Promise<void> | undefined;
    const run = (marked: Job) => {
      if (hasEvent(marked)) over = new Promise((leave) => attempt(marked, leave));
    };
    await again.run(job, standing, run).catch(() => {}); // the session is over; the next one drains on
    await over;
  }

  return {
    start,
    stop() {
      stopped = true;
      again.end();
    },
  };
}

async function conclude(
  scope: Scope,
  job: Job,
  found: Found,
  runOnce: (job: EventJob, found: Found) => Promise<void>,
): Promise<void> {
  const { judgement, whole, parcel } = found;
  if (judgement === "uncertain") {
    return await concludeDead(scope, job, "uncertain", uncertain(parcel));
  }
  if (whole === undefined || !hasEvent(job)) {
    return await concludeDead(scope, job, "undecodable", gone(parcel));
  }
  const broken = contractError(scope.handler(), job.event);
  if (broken !== undefined) return await concludeDead(scope, job, "schema", broken);
  await runOnce(job, found);
}

// A projection that computes other keys by now must not fold into one entry from two lanes: the key is the lane's.
function keyIn(scope: Scope, lane: Token, { event }: Job): string {
  const byLane = untoken(lane) ?? "";
  if (scope.handler().declaration.kind === "projection" || event === undefined) return byLane;
  return keyOf(event);
}

function nothingYet(): Drain {
  return { listed: false, positions: [], found: [] };
}
