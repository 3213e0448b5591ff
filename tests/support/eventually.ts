// Waits for a fact instead of sleeping. Fails with the last thing that it saw, never with "timeout" alone.
import { inspect } from "node:util";

export type EventuallyOptions = {
  readonly timeoutMs?: number;
  /** What is waited for, for the failure's text. */
  readonly what?: string;
};

const pollMaxMs = 100;

/** Calls `fn` until it returns something truthy without throwing, and returns that. */
export async function eventually<T>(
  fn: () => T | Promise<T>,
  { timeoutMs = 5_000, what = "the condition" }: EventuallyOptions = {},
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 1.5, pollMaxMs)) {
    const seen = await look(fn);
    if (seen.kind === "value" && seen.value) return seen.value;
    if (Date.now() >= deadline) {
      const last =
        seen.kind === "value" ? `returned ${inspect(seen.value)}` : `threw ${inspect(seen.error)}`;
      const options = seen.kind === "error" ? { cause: seen.error } : {};
      throw new Error(`${what} did not come true within ${timeoutMs} ms; it last ${last}`, options);
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

type Seen<T> = { kind: "value"; value: T } | { kind: "error"; error: unknown };

async function look<T>(fn: () => T | Promise<T>): Promise<Seen<T>> {
  try {
    return { kind: "value", value: await fn() };
  } catch (error) {
    return { kind: "error", error };
  }
}
