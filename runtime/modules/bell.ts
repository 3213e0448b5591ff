// When to look again: hints of changes are gathered into one look, and without hints there is one now and then.
// B1 A burst of hints ends in a look after its last one.   B2 A burst that never ends is looked at all the same.
import { setTimeout as sleep } from "node:timers/promises";

export interface Bell {
  /** Something may have changed. */
  ring(): void;
  /** Resolves when it is time to look, with the time (performance.now()) of the first hint. */
  next(): Promise<number>;
  /** Ends a wait, now and from now on. */
  stop(): void;
}

export interface BellTimes {
  /** So long after the last hint. */
  readonly quietMs: number;
  /** And at the latest so long after the first. */
  readonly burstMsMax: number;
  /** So often without any hint. */
  readonly pollMs: number;
}

export function createBell({ quietMs, burstMsMax, pollMs }: BellTimes): Bell {
  const stopped = new AbortController();
  let first: number | undefined;
  let last = 0;
  let wake = () => {};
  const hinted = async (): Promise<number> => {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
      timer = setTimeout(resolve, pollMs);
      if (first !== undefined || stopped.signal.aborted) resolve();
    });
    clearTimeout(timer);
    return first ?? performance.now();
  };
  return {
    ring() {
      last = performance.now();
      first ??= last;
      wake();
    },
    async next() {
      const noticed = await hinted();
      const deadline = noticed + burstMsMax;
      for (;;) {
        const leftMs = Math.min(last + quietMs, deadline) - performance.now();
        if (leftMs <= 0 || stopped.signal.aborted) break;
        await sleep(leftMs, undefined, { signal: stopped.signal }).catch(() => {});
      }
      first = undefined;
      return noticed;
    },
    stop() {
      stopped.abort();
      wake();
    },
  };
}
