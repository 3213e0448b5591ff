// What is said of a thread that is no more: to the call that is to blame, and to the person on call.
import { EddyError, nameOf } from "../../events/index.ts";
import { type End, endText } from "./launch.ts";
import type { Pending } from "./pending.ts";

/** Why a thread is no more, as seen from outside. */
export type Stop = End | { readonly kind: "blocked"; readonly stillMs: number };

export interface Stopped {
  readonly code: string;
  /** For the trouble that is reported. */
  readonly message: string;
  /** What the call that is to blame fails with, where one is. */
  readonly error: EddyError | undefined;
}

export function stopped(
  module: string,
  stop: Stop,
  guilty: Pending | undefined,
  others: number,
): Stopped {
  const code = codeOf(stop);
  const what = stop.kind === "blocked" ? blockedText(stop.stillMs) : endText(stop);
  const by =
    guilty === undefined ? "" : `, while ${guilty.handler} had ${nameOf(guilty.call.job.event)}`;
  const again = others === 0 ? "" : ` Events that run again: ${others}.`;
  const message = `${module}: ${what}${by}. A new thread is started.${again}`;
  if (guilty === undefined) return { code, message, error: undefined };
  const text = `${guilty.handler} was stopped with ${nameOf(guilty.call.job.event)}: ${what}. ${adviceFor(stop)}`;
  return { code, message, error: new EddyError(code, text, { handler: guilty.handler, module }) };
}

function codeOf(stop: Stop): string {
  switch (stop.kind) {
    case "blocked":
      return "EDDY_THREAD_BLOCKED";
    case "memory":
      return "EDDY_THREAD_MEMORY";
    case "exit":
    case "failed":
      return "EDDY_THREAD_EXITED";
  }
}

function blockedText(stillMs: number): string {
  return `its thread was stopped because it did not give way for ${Math.round(stillMs)} ms`;
}

function adviceFor(stop: Stop): string {
  switch (stop.kind) {
    case "blocked":
      return "Look for a loop without end, or declare a longer deadline";
    case "memory":
      return "Look for what grows without end, or give the folder more memory";
    case "exit":
    case "failed":
      return "Throw an error instead; the runtime decides when to end";
  }
}
