// Whether a node does its work, and if not, why not. Pure.
import type { HandlerStatus } from "../pipeline/index.ts";

export interface NodeState {
  readonly connected: boolean;
  /** Undefined until the pipeline has started. */
  readonly handlers: readonly HandlerStatus[] | undefined;
}

export type Readiness =
  | { readonly ready: true }
  | { readonly ready: false; readonly reasons: readonly string[] };

/** Ready: connected, and every handler consumes or stands by for another instance that does. */
export function readinessOf({ connected, handlers }: NodeState): Readiness {
  const reasons: string[] = [];
  if (!connected) reasons.push("not connected to NATS");
  if (handlers === undefined) reasons.push("the pipeline has not started");
  for (const { handler, state, detail } of handlers ?? []) {
    if (state === "running" || state === "standby") continue;
    reasons.push(`${handler.name} is not consuming (${detail ?? state})`);
  }
  return reasons.length === 0 ? { ready: true } : { ready: false, reasons };
}
