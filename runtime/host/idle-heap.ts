// Gives back, after a burst, what the burst has left. V8 collects when a process allocates, and an idle one does not: it
// would stay at several times of what it needs, on a small node for hours.
// I1 Nothing is collected while events are handled: it would be a pause for them.
import { Session } from "node:inspector";

const lookMs = 2_000;
const worthBytes = 12 * 2 ** 20; // a smaller gain is not worth the tens of ms that it takes

/** `handled` counts events that have been handled. Returns what ends it. */
export function collectWhenIdle(handled: () => number): () => void {
  const session = new Session();
  session.connect();
  let before = handled();
  let left = 0; // used after the last collection
  const timer = setInterval(() => {
    const now = handled();
    const idle = now === before;
    before = now;
    if (!idle || process.memoryUsage().heapUsed < left + worthBytes) return;
    // The only collection within reach that gives back the young generation's pages too: 16 MB of them after a burst.
    session.post("HeapProfiler.collectGarbage", () => {
      left = process.memoryUsage().heapUsed;
    });
  }, lookMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    session.disconnect();
  };
}
