// Work that only the server's silence can keep from being done: tried again until it answers, and said once.
// U1 Nothing goes on before it is done, and nothing is counted as an attempt. U2 It ends with the session.
import { Permanent } from "../authoring/index.ts";
import { describeThrown } from "../events/index.ts";
import type { Scope } from "./scope.ts";

/** What the work gives; undefined where the session was over before. */
export async function untilAnswered<T>(
  scope: Scope,
  code: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const about = scope.handler().name;
  let said = false;
  for (let waitMs = 100; scope.alive(); waitMs = Math.min(waitMs * 2, 2_000)) {
    try {
      const result = await work();
      const message = `${about}: the server answers again`;
      if (said) scope.around.report({ kind: "mended", code, about, message });
      return result;
    } catch (error) {
      if (error instanceof Permanent) throw error;
      const message = `${about}: ${describeThrown(error).message}; it is tried again`;
      if (!said) scope.around.report({ kind: "trouble", code, about, message });
      said = true;
      await scope.ensureStreams().catch(() => {}); // one of them may be gone; the next try says what else it is
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
  return undefined;
}
