// The functions of a projection for whoever folds its past: here, or in the thread of an isolated module.
import assert from "node:assert/strict";
import { type Handler, parseDuration } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { findNothing } from "../find.ts";
import { entryKey, nextState } from "../fold.ts";
import type { Terms } from "../handle.ts";
import type { ReadEntry } from "../read-entry.ts";
import { type RemoteCall, remoteOf } from "../remote.ts";
import { sourceOf } from "../terms.ts";

/** What calls into a thread need. */
export interface Runs {
  readonly deadlineMs: number;
  readonly readEntry: ReadEntry;
}

/** A promise only where they run in a thread. Both may throw, or reject, with whatever the author's code throws. */
export interface Functions {
  key(job: RemoteCall["job"]): string | Promise<string>;
  /** The next state, checked; null removes the entry. */
  apply(job: RemoteCall["job"], state: unknown): unknown;
}

export function functionsOf(broker: Broker, handler: Handler, runs: Runs): Functions {
  const { declaration, name } = handler;
  assert(declaration.kind === "projection", "bug: only a projection has a past");
  const remote = remoteOf(handler);
  if (remote === undefined) {
    return {
      key: ({ event }) => entryKey(declaration, event),
      apply: ({ event }, state) => nextState(declaration, event, state),
    };
  }
  const terms: Terms = {
    deadlineMs: parseDuration(declaration.options.deadline) ?? runs.deadlineMs,
    source: sourceOf(broker.app, name),
  };
  const call = (job: RemoteCall["job"]): RemoteCall => ({
    ...{ job, terms, readEntry: runs.readEntry, findEntries: findNothing },
  });
  return {
    key: (job) => remote.key(call(job)),
    apply: async (job, state) => (await remote.apply(call(job), state)).state,
  };
}
