// The last call for each key, and which notifications it answers. Pure.
// A1 An answer holds for what had arrived here when its call began: what was notified later may have changed since.
// A2 A call that failed holds for those only who waited when it began: a retry is a call of its own. One that found the
// source down holds for nobody.
// A3 Keys are remembered up to a number; what is forgotten costs a call, and no truth.

export type Last =
  /** Under way, until what came of it is stored. */
  | { readonly kind: "running"; readonly beganMs: number; readonly over: Promise<void> }
  /** Its answer is stored. `arrived` is the highest sequence that had arrived when it began. */
  | { readonly kind: "stored"; readonly beganMs: number; readonly arrived: number }
  | { readonly kind: "failed"; readonly beganMs: number; readonly error: unknown }
  | { readonly kind: "unanswered"; readonly beganMs: number };

/** A notification that asks what it may build on. */
export interface Notification {
  readonly position: { readonly seq: number };
  /** When this run of it began to wait, by performance.now(). */
  readonly beganMs: number;
}

/** What a notification has to do. */
export type Next =
  /** Ask, but not before. */
  | { readonly kind: "ask"; readonly atMs: number }
  | { readonly kind: "wait"; readonly over: Promise<void> }
  /** Nothing: what it told of is stored already. */
  | { readonly kind: "spared" }
  | { readonly kind: "failed"; readonly error: unknown };

export function nextFor(
  last: Last | undefined,
  { position, beganMs }: Notification,
  shareMs: number,
): Next {
  if (last === undefined) return { kind: "ask", atMs: 0 };
  if (last.kind === "running") return { kind: "wait", over: last.over };
  if (last.kind === "stored" && position.seq <= last.arrived) return { kind: "spared" };
  if (last.kind === "failed" && beganMs <= last.beganMs) {
    return { kind: "failed", error: last.error };
  }
  return { kind: "ask", atMs: last.beganMs + shareMs };
}

export interface Answers {
  get(key: string): Last | undefined;
  set(key: string, last: Last): void;
  delete(key: string): void;
}

const keysMax = 10_000;

export function createAnswers(): Answers {
  const all = new Map<string, Last>(); // the one that changed last is the last
  return {
    get: (key) => all.get(key),
    set(key, last) {
      all.delete(key);
      all.set(key, last);
      if (all.size <= keysMax) return;
      for (const [oldest, { kind }] of all) {
        if (kind === "running") continue;
        all.delete(oldest);
        return;
      }
    },
    delete: (key) => void all.delete(key),
  };
}
