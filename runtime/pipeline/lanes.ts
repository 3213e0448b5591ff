// Lanes: events of one key, handled one after the other, while lanes run side by side. Pure.
// Owns the queues. Does not own attempts, deadlines or what is stored.
// L1 At most one event of a key is in a handler. L2 A key with nothing to do has no lane.
// L3 At most `width` lanes run at once; the others wait in the order in which they became ready.
import { createQueue, type Queue } from "./queue.ts";

/** Runs one event; calls `leave` once, when the next event of its key may enter. */
export type Turn = (leave: () => void) => void;

export interface Lanes {
  enter(key: string, turn: Turn): void;
  /** Events that wait or run. */
  readonly occupied: number;
  /** Forgets all that waits; what runs finishes. */
  clear(): void;
}

export function createLanes(width: number): Lanes {
  const lanes = new Map<string, Queue<Turn>>(); // what waits behind the one that runs
  const ready = createQueue<() => void>(); // lanes that could run, were there width
  let running = 0;
  let occupied = 0;
  let draining = false;

  function run(key: string, turn: Turn): void {
    running++;
    let left = false;
    turn(() => {
      if (left) return;
      left = true;
      running--;
      occupied--;
      next(key);
      drain();
    });
  }

  function next(key: string): void {
    const turn = lanes.get(key)?.shift();
    if (turn === undefined) lanes.delete(key);
    else start(key, turn);
  }

  function start(key: string, turn: Turn): void {
    ready.push(() => run(key, turn));
  }

  // A handler that returns at once leaves within its own turn: a loop instead of recursion keeps the stack flat.
  function drain(): void {
    if (draining) return;
    draining = true;
    try {
      while (running < width && ready.size > 0) ready.shift()?.();
    } finally {
      draining = false; // whatever a turn throws: it must not stop the others for ever
    }
  }

  return {
    enter(key, turn) {
      occupied++;
      const lane = lanes.get(key);
      if (lane !== undefined) {
        lane.push(turn);
        return;
      }
      lanes.set(key, createQueue());
      start(key, turn);
      drain();
    },
    get occupied() {
      return occupied;
    },
    clear() {
      for (const waiting of lanes.values()) {
        occupied -= waiting.size;
        waiting.clear();
      }
      occupied -= ready.size;
      ready.clear();
    },
  };
}
