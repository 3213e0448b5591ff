// Letting keys go: what was parked runs, in stream order and in the key's lane, until nothing is left or one fails.
// What is read here runs in run-parked.ts.
// D1 A key has one drain. D2 It finds out that nothing is left in the key's lane, so that nothing is being parked then.
// D3 It leaves the lane now and then, so that what came meanwhile is parked and does not hold up the floor; out of its
// turn it has no copies, so it leaves behind those that it has read, unless running them takes long.
// D4 Nobody waits in a lane for the turn to try a suspect: who has that turn may wait for this lane.
// D5 What is parked between two turns runs in its place, also where it comes late: after a take-over the events of the
// predecessor's unrecorded copies come again, and the list that a drain works off was made with some of these copies in it.
import type { Position, Token } from "../../events/index.ts";
import type { Scope } from "../scope.ts";
import { type Found, findSome, listNow } from "./next-parked.ts";
import type { Attempt, Turn } from "./queues.ts";
import { createParkedRuns } from "./run-parked.ts";
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
  pass: Pass | undefined;
}

/** The turn to try a suspect. */
interface Pass {
  readonly alone: boolean;
  leave(): void;
}

const turnMs = 100;
const atOnceMax = 32;
const atOnceBytes = 64 * 1024; // of one key: hundreds go on side by side
const firstGuess = 16 * 1024;

export function createDrains({ scope, table, enter, attempt, free }: DrainParts) {
  const active = new Map<Token, Drain>();
  const runs = createParkedRuns(scope, table, attempt);
  let largest = firstGuess; // of the copies that were read last
  let stopped = false;

  function start(lane: Token): void {
    const known = active.get(lane); // it failed on one and has not noticed yet
    if (known !== undefined) {
      Object.assign(known, { ...nothingYet(), pass: known.pass });
      return;
    }
    const drain = nothingYet();
    active.set(lane, drain);
    next(lane, drain);
  }

  function next(lane: Token, drain: Drain): void {
    enter(lane, (leave) => void takeTurn(lane, drain).finally(leave));
  }

  async function takeTurn(lane: Token, drain: Drain): Promise<void> {
    const { pass } = drain;
    drain.pass = undefined;
    let wanted: "pass" | "pass alone" | undefined;
    try {
      wanted = await turn(lane, drain, pass);
    } finally {
      pass?.leave();
      const unread = drain.found.map(({ parcel }) => parcel.original.position); // D3
      Object.assign(drain, { positions: [...unread, ...drain.positions], found: [], marked: 0 });
      if (!goesOn(lane)) active.delete(lane);
      else if (wanted === undefined) next(lane, drain);
      else void nextWith(wanted === "pass alone", lane, drain);
    }
  }

  async function nextWith(alone: boolean, lane: Token, drain: Drain): Promise<void> {
    const leave = await scope.crashes.gate.enter(alone); // D4
    if (goesOn(lane)) {
      drain.pass = { alone, leave };
      return next(lane, drain);
    }
    leave();
    active.delete(lane);
  }

  function goesOn(lane: Token): boolean {
    if (stopped || scope.around.stopping.over || !scope.alive()) return false;
    return table.get(lane)?.held.kind === "draining";
  }

  /** Runs what it can; gives what it needs to go on in its next turn. */
  async function turn(lane: Token, drain: Drain, pass: Pass | undefined) {
    const beganMs = performance.now();
    let ranMs = 0; // reading and marking do not count: where that alone takes a turn, nearly all of it would be for nothing
    const [arrived, last] = [table.arrived.get(lane), drain.positions.at(-1)];
    if (arrived !== undefined && last !== undefined && arrived < last.seq) drain.positions = []; // D5
    while (goesOn(lane) && ranMs < turnMs) {
      if (drain.found.length === 0) {
        if (performance.now() - beganMs > turnMs) return undefined;
        await read(lane, drain);
      }
      const [found] = drain.found;
      if (found === undefined || !goesOn(lane)) continue;
      const alone = found.deaths + 1 >= scope.crashes.deathsMax;
      const tried = runs.isTried(found);
      if (tried && (pass === undefined || (alone && !pass.alone))) {
        return alone ? "pass alone" : "pass";
      }
      drain.found.shift();
      if (tried) {
        await runs.tryOne(lane, found);
        return undefined;
      }
      const [startMs, isMarked] = [performance.now(), drain.marked > 0];
      drain.marked = await runs.run(lane, found, drain.found, drain.marked);
      if (isMarked) ranMs += performance.now() - startMs;
    }
    return undefined;
  }

  function atOnce(): number {
    return Math.min(atOnceMax, Math.max(1, Math.floor(atOnceBytes / largest)));
  }

  async function read(lane: Token, drain: Drain): Promise<void> {
    if (drain.positions.length === 0) {
      const seen = drain.listed && !table.arrived.has(lane);
      if (seen) await scope.committer.settled(); // of what ran nothing but leftovers may be listed then
      table.arrived.delete(lane);
      const positions = await listNow(scope, lane);
      if (positions === undefined) return;
      drain.positions = positions.filter((position) => table.runsIn(position) === undefined);
      drain.listed = true;
      if (drain.positions.length === 0 && !table.arrived.has(lane)) {
        free(lane);
        return;
      }
    }
    drain.found = await findSome(scope, lane, drain.positions.splice(0, atOnce()));
    largest = Math.max(largest / 2, ...drain.found.map(bytesOf));
  }

  return {
    start,
    stop() {
      stopped = true;
      for (const { pass } of active.values()) pass?.leave(); // their turns never come
    },
  };
}

function bytesOf({ whole, parcel }: Found): number {
  return (whole ?? parcel).original.data.byteLength + 1;
}

function nothingYet(): Drain {
  return { listed: false, positions: [], found: [], marked: 0, pass: undefined };
}
