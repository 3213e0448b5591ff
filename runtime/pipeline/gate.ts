// Lets so much work go on side by side and keeps the rest in order. Pure.
// G1 At most `width` pieces of work run. What waits has not begun, so its deadlines have not either: a flood of letters
// sent at once would be answered after its own time limit, be sent again, and leave the server no time for anything else.
import { createQueue } from "./queue.ts";

export interface Gate {
  /** Begins the work now or when there is room. It must not reject. */
  enter(work: () => Promise<void>): void;
  /** Forgets what has not begun. */
  clear(): void;
  readonly running: number;
}

/** `onIdle` is called whenever the last running work ends and none waits. */
export function createGate(width: number, onIdle: () => void): Gate {
  const waiting = createQueue<() => Promise<void>>();
  let running = 0;

  function begin(work: () => Promise<void>): void {
    running++;
    void work().finally(() => {
      running--;
      const next = waiting.shift();
      if (next !== undefined) begin(next);
      else if (running === 0) onIdle();
    });
  }

  return {
    enter(work) {
      if (running < width) begin(work);
      else waiting.push(work);
    },
    clear: () => waiting.clear(),
    get running() {
      return running;
    },
  };
}
