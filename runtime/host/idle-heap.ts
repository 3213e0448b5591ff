// Gives back, after a burst, what the burst has left. V8 collects when a process allocates, and an idle one does not: it
// would stay at several times of what it needs, on a small node for hours.
// I1 Nothing is collected while events are handled: it would be a pause for them.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const lookMs = 2_000;
const worthBytes = 12 * 2 ** 20; // a smaller gain is not worth the tens of ms that it takes

/** `handled` counts events that have been handled. Returns what ends it. */
export function collectWhenIdle(handled: () => number): () => void {
  const collect = collector();
  if (collect === undefined) return () => {};
  let before = handled();
  let left = 0; // used after the last collection
  const timer = setInterval(() => {
    const now = handled();
    const idle = now === before;
    before = now;
    if (!idle || process.memoryUsage().heapUsed < left + worthBytes) return;
    collect();
    left = process.memoryUsage().heapUsed;
  }, lookMs);
  timer.unref();
  return () => clearInterval(timer);
}

// Node shows V8's collector only on demand.
function collector(): (() => void) | undefined {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  return typeof gc === "function" ? () => void gc() : undefined;
}
