// Work that only the server's silence can keep from being done: tried again until it answers, and said once.
// U1 Nothing goes on before it is done, and nothing is counted as an attempt. U2 It ends with the session. U3 Where
// hundreds of events wait for the same, that is said once, and once again when none of them waits any more.
import { Permanent } from "../authoring/index.ts";
import { describeThrown } from "../events/index.ts";
import type { Scope } from "./scope.ts";

const waiting = new WeakMap<Scope, Map<string, number>>(); // how many wait, by code

/** What the work gives; undefined where the session was over before. */
export async function untilAnswered<T>(
  scope: Scope,
  code: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const about = scope.handler().name;
  const { report } = scope.around;
  let waits = false;
  for (let waitMs = 100; scope.alive(); waitMs = Math.min(waitMs * 2, 2_000)) {
    try {
      const result = await work();
      const message = `${about}: the server answers again`;
      if (waits && change(scope, code, -1) === 0) report({ kind: "mended", code, about, message });
      return result;
    } catch (error) {
      if (waits && error instanceof Permanent) change(scope, code, -1);
      if (error instanceof Permanent) throw error;
      const message = `${about}: ${describeThrown(error).message}; it is tried again`;
      if (!waits && change(scope, code, 1) === 1) report({ kind: "trouble", code, about, message });
      waits = true;
      await scope.ensureStreams().catch(() => {}); // one of them may be gone; the next try says what else it is
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
  return undefined;
}

function change(scope: Scope, code: string, by: 1 | -1): number {
  const counts = waiting.get(scope) ?? new Map<string, number>();
  waiting.set(scope, counts);
  const count = (counts.get(code) ?? 0) + by;
  counts.set(code, count);
  return count;
}
