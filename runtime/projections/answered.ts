// Work on the server that somebody outside waits for: what it fails with is told as a server that does not answer.
import { describeThrown, EddyError } from "../events/index.ts";

/** @throws EddyError its own ones, and `EDDY_NOT_CONNECTED` for all others. */
export async function answered<T>(work: Promise<T> | (() => Promise<T>)): Promise<T> {
  try {
    return await (typeof work === "function" ? work() : work);
  } catch (error) {
    throw error instanceof EddyError ? error : notReachable(error);
  }
}

export function notReachable(cause: unknown): EddyError {
  return new EddyError(
    "EDDY_NOT_CONNECTED",
    `projections cannot be read at the moment: ${describeThrown(cause).message}. Is nats-server running, and reachable?`,
    {},
    { cause },
  );
}
