// Options that reactions and projections share, and their check at declaration.
import { nonsense } from "./declaration.ts";
import { type Duration, parseDuration } from "./duration.ts";
import { type EventType, isEventType } from "./event-type.ts";
import { compileWhere, type Matcher } from "./matcher.ts";
import { checkReload, type Reload } from "./reload.ts";
import { type Alternatives, checkWhere, type Pattern, type Where } from "./where.ts";

/**
 * Where a handler that has never run begins. Later it goes on where it was. `"state"`, of a projection: with what the
 * compacted home of its types holds, and then in the log right behind.
 */
export type Start = "first" | "now" | "state" | Date;

/** `Data` is the pattern of its events' data; options for events of any kind name none of its fields. */
export interface HandlerOptions<Data = Alternatives> {
  /**
   * Default: `"now"` for a reaction; for a projection `"state"` where all of its types have a compacted home, else
   * `"first"`.
   */
  readonly start?: Start;
  /**
   * Which events of its types it takes, as in an event pattern of EventBridge: `{ data: { status: ["paid"] } }`. What is left
   * out ends as `filtered`: not checked against the schema, not run, no effect. Default: all.
   */
  readonly where?: Where<Data>;
  /** Longest run of one attempt; then its signal is aborted and the event retried. Default 30 s. */
  readonly deadline?: Duration;
  /** Waits between attempts; one more attempt than delays, then dead. Default 1 s, 5 s, 30 s, 2 min, 10 min. */
  readonly retry?: readonly Duration[];
  /**
   * An event that is older when an attempt would run ends as `expired`: no attempt, no effect. Its age counts from its
   * `time`, or from when it was stored where it has none or claims to be younger. Default: no limit.
   * The extension `expirytime` of an event does the same for that event. A projection does not fold what has expired.
   */
  readonly maxAge?: Duration;
  /** Keep what has expired as a dead letter, so that it can be looked at and given back. Default false. */
  readonly keepExpired?: boolean;
  /** An event that waits for a retry holds back the later ones of its key, and of no other. Default false. */
  readonly ordered?: boolean;
  /** With `ordered`: after a dead letter the key goes on, or is held until an operator decides. Default `"continue"`. */
  readonly onDead?: OnDead;
  /**
   * What a changed version has to show before it takes over while the runtime runs. With `"verify"` both versions run over the
   * handler's last 1,000 events and its open letters, and one that fails anew or has other effects is refused.
   * `{ verify: 200, allow: ["emits"] }` says over how many, and what may differ. Default: nothing.
   */
  readonly reload?: Reload;
}

export type OnDead = "continue" | "hold";

const deadlineMsMax = 3_600_000;
const delaysMax = 32;

export function checkOptions(what: string, options: HandlerOptions<Pattern>): void {
  const { start, where, deadline, retry, maxAge, keepExpired, ordered, onDead, reload } = options;
  const legalStart =
    start instanceof Date
      ? !Number.isNaN(start.getTime())
      : start === "first" || start === "now" || start === "state";
  if (start !== undefined && !legalStart) {
    throw nonsense(`${what}: start must be "first", "now" or a Date, got ${String(start)}`);
  }
  if (where !== undefined) checkWhere(what, where);
  if (deadline !== undefined) {
    const ms = parseDuration(deadline);
    if (ms === undefined || ms <= 0 || ms > deadlineMsMax) {
      throw nonsense(
        `${what}: deadline must be a duration of up to 1h such as "30s", got ${String(deadline)}`,
      );
    }
  }
  if (retry !== undefined) {
    const legal =
      Array.isArray(retry) && retry.every((delay) => parseDuration(delay) !== undefined);
    if (!legal || retry.length > delaysMax) {
      throw nonsense(`${what}: retry must be up to ${delaysMax} durations such as ["1s", "5s"]`);
    }
  }
  if (maxAge !== undefined && !((parseDuration(maxAge) ?? 0) > 0)) {
    throw nonsense(`${what}: maxAge must be a duration such as "10m", got ${String(maxAge)}`);
  }
  if (keepExpired !== undefined && typeof keepExpired !== "boolean") {
    throw nonsense(`${what}: keepExpired must be true or false, got ${String(keepExpired)}`);
  }
  if (ordered !== undefined && typeof ordered !== "boolean") {
    throw nonsense(`${what}: ordered must be true or false, got ${String(ordered)}`);
  }
  checkReload(what, reload);
  if (onDead === undefined) return;
  if (onDead !== "continue" && onDead !== "hold") {
    throw nonsense(`${what}: onDead must be "continue" or "hold", got ${String(onDead)}`);
  }
  if (ordered !== true) throw nonsense(`${what}: onDead says what ordered: true does; add that`);
}

/** Asks an event whether the options' `where` takes it; undefined where all are taken. */
export function matcherOf({ where }: HandlerOptions<Pattern>): Matcher | undefined {
  return where === undefined ? undefined : compileWhere(where);
}

export function checkEventTypes(what: string, field: string, types: readonly unknown[]): void {
  if (types.length === 0) throw nonsense(`${what}: ${field} names no event type`);
  const wrong = types.findIndex((type) => !isEventType(type));
  if (wrong >= 0) {
    throw nonsense(
      `${what}: ${field}[${wrong}] is no event type; make one with event(type, schema). ` +
        "If it is imported from a file that imports this one, break the circle",
    );
  }
}

/** The types that a handler reads, whether one or several were given. */
export function listOf<E extends EventType>(from: E | readonly E[]): readonly E[] {
  return Array.isArray(from) ? from : [from as E];
}
