// The task of those who drain a backlog, in whichever way, and what they give back.
import type { Span } from "./task.ts";

export interface DrainTask {
  readonly url: string;
  /** Makes apps, ledgers and consumers of this run its own. */
  readonly run: string;
  /** nothing: handle only. emit: each event emits one. fold: each event goes into the entry of its key. */
  readonly does: "nothing" | "emit" | "fold";
  /** Events to drain; a reference that is slow may leave the rest of the backlog. */
  readonly events: number;
  /** Handlers, each of a type of its own, or all of one type. */
  readonly handlers: number;
  readonly types: number;
}

export interface DrainResult extends Span {
  /** Events handled, each handler's counted. */
  readonly handled: number;
  /** From the first event that was settled to the last: without start-up. */
  readonly steadyMs: number;
}

/** Where the first event's and the last event's settling are noted. */
export function settling(total: number) {
  let first = 0;
  let settled = 0;
  let done = () => {};
  const finished = new Promise<void>((resolve) => {
    done = resolve;
  });
  return {
    finished,
    settle() {
      if (++settled === 1) first = performance.now();
      if (settled === total) done();
    },
    steadyMs: () => performance.now() - first,
  };
}
