// What an attempt came to, in the words of the pipeline. Pure.
import { type HandlerOptions, Permanent, parseDuration, RetryAfter } from "../authoring/index.ts";
import { type CloudEvent, EddyError } from "../events/index.ts";

export type Verdict =
  | { readonly kind: "handled"; readonly effects: number }
  | { readonly kind: "duplicate" }
  | { readonly kind: "retry"; readonly due: Date; readonly cause: unknown }
  | {
      readonly kind: "dead";
      readonly reason: "attempts" | "permanent" | "schema";
      readonly cause: unknown;
    };

/** A verdict, and on what: one line of the harness's record, in the order in which things happened. */
export type Observed = Verdict & {
  readonly handler: string;
  readonly event: CloudEvent;
  /** 1 for the first. */
  readonly attempt: number;
};

const defaultDelays = ["1s", "5s", "30s", "2m", "10m"] as const;

/** What a throw means for the event: dead where another attempt cannot help, else when that attempt is due. */
export function judge(
  thrown: unknown,
  attempt: number,
  options: HandlerOptions,
  now: Date,
): Verdict {
  if (thrown instanceof Permanent) return { kind: "dead", reason: "permanent", cause: thrown };
  if (thrown instanceof EddyError && hopeless.has(thrown.code)) {
    const reason = thrown.code === "EDDY_DATA_INVALID" ? "schema" : "permanent";
    return { kind: "dead", reason, cause: thrown };
  }
  const delay = (options.retry ?? defaultDelays)[attempt - 1];
  if (delay === undefined) return { kind: "dead", reason: "attempts", cause: thrown };
  const due =
    thrown instanceof RetryAfter
      ? thrown.at
      : new Date(now.getTime() + (parseDuration(delay) ?? 0));
  return { kind: "retry", due, cause: thrown };
}

const hopeless = new Set(["EDDY_DATA_INVALID", "EDDY_EMIT_INVALID", "EDDY_EMIT_UNDECLARED"]);
