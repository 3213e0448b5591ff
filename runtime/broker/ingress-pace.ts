// Whether what waits to be stored goes as single publishes or as a batch. A batch costs the server some milliseconds, however
// many it holds; a publish next to nothing, or a sync of the disk where the server syncs always: the measured answers tell.
// P1 Batches only where this process waits for the server, and for as long as they are faster than publishes were.
import { type EventLoopUtilization, performance } from "node:perf_hooks";

export interface Pace {
  /** What comes while something is under way waits for it, to go together. */
  readonly gathers: boolean;
  /** Fewer events are cheaper one by one. */
  readonly batchMin: number;
  /** A single publish was answered; so many others still wait. */
  answered(waiting: number): void;
  /** A batch was stored. */
  stored(count: number, ms: number): void;
}

const batchMin = 12;
const window = 64; // answers
const busy = 0.85; // of the event loop's time: from here on it is this process that takes it
const stayMs = 10_000; // then publishes are measured again

export function createPace(
  now: () => number = () => performance.now(),
  utilization: (since?: EventLoopUtilization) => EventLoopUtilization = (since) =>
    performance.eventLoopUtilization(since),
): Pace {
  let since = { ms: now(), loop: utilization() };
  let count = 0;
  let eachMs = 0;
  let until = 0; // batches

  function begin(): void {
    count = 0;
    since = { ms: now(), loop: utilization() };
  }

  return {
    batchMin,
    get gathers() {
      return now() < until;
    },
    answered(waiting) {
      if (waiting === 0) return begin(); // what follows may be long in coming
      if (++count < window) return;
      eachMs = (now() - since.ms) / window;
      if (utilization(since.loop).utilization < busy) until = now() + stayMs;
      begin();
    },
    stored(many, ms) {
      if (ms / many >= eachMs) until = 0;
      begin();
    },
  };
}
