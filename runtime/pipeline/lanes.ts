// Lanes: events of one key, handled one after the other, while lanes run side by side. Pure.
// Owns the queues. Does not own attempts, deadlines or what is stored.
// L1 At most one event of a key is in a handler. L2 A key with nothing to do has no lane.
// L3 At most `width` lanes run at once; the others wait in the order in which they became ready.
import { createQueue, type Queue } from "./queue.ts";

export interface Lanes<Item> {
  /** The item has its turn now or later: `run` is called with it. */
  enter(key: string, item: Item): void;
  /** The item that ran is done: the next one of its key may run. To be called once for each turn. */
  leave(key: string): void;
  /** Items that wait or run. */
  readonly occupied: number;
  /** Forgets all that waits; what runs finishes. */
  clear(): void;
}

export function createLanes<Item>(width: number, run: (item: Item) => void): Lanes<Item> {
  const lanes = new Map<string, Queue<Item> | undefined>(); // what waits behind the one that runs, if anything
  const ready = createQueue<Item>(); // could run, were there width
  let running = 0;
  let occupied = 0;
  let draining = false;

  // A handler that returns at once leaves within its own turn: a loop instead of recursion keeps the stack flat.
  function drain(): void {
    if (draining) return;
    draining = true;
    try {
      while (running < width && ready.size > 0) {
        running++;
        run(ready.shift() as Item);
      }
    } finally {
      draining = false; // whatever a turn throws: it must not stop the others for ever
    }
  }

  return {
    enter(key, item) {
      occupied++;
      const behind = lanes.get(key);
      if (behind !== undefined) behind.push(item);
      else if (lanes.has(key)) {
        const first = createQueue<Item>();
        first.push(item);
        lanes.set(key, first);
      } else {
        lanes.set(key, undefined);
        ready.push(item);
        drain();
      }
    },
    leave(key) {
      running--;
      occupied--;
      const behind = lanes.get(key);
      if (behind === undefined || behind.size === 0) lanes.delete(key);
      else ready.push(behind.shift() as Item);
      drain();
    },
    get occupied() {
      return occupied;
    },
    clear() {
      for (const behind of lanes.values()) {
        occupied -= behind?.size ?? 0;
        behind?.clear();
      }
      occupied -= ready.size;
      ready.clear();
    },
  };
}
