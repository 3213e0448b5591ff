// Handlers whose functions run in another thread: what the pipeline asks of that thread, and how an attempt goes
// there and back. T1 No function of such a handler runs here. T2 What a call asks for is held back there until the
// function has returned; all else (dedupe, lanes, commit, retries) is the same as for any other handler.
import assert from "node:assert/strict";
import type { Handler } from "../authoring/index.ts";
import type { BatchMessage } from "../broker/index.ts";
import { allFit, storeLarge } from "./away/store.ts";
import type { FindEntries } from "./find.ts";
import type { Terms } from "./handle.ts";
import type { ReadEntry } from "./read-entry.ts";
import type { EventJob, Scope } from "./scope.ts";
import { termsOf } from "./terms.ts";

/** One call of a handler's function. The event goes as the bytes of its message and is decoded there again. */
export interface RemoteCall {
  readonly job: Pick<EventJob, "original" | "event" | "position" | "attempt">;
  readonly terms: Terms;
  readonly readEntry: ReadEntry;
  readonly findEntries: FindEntries;
}

/** The next state of an entry, and what it is found by from then on. */
export interface NextEntry {
  readonly state: unknown;
  readonly marks: string;
}

/** The functions of one handler, elsewhere. Each call ends: where the thread does not answer, it rejects. */
export interface Remote {
  /** Runs a reaction; gives its effects. */
  run(call: RemoteCall): Promise<readonly BatchMessage[]>;
  /** The entry that an event belongs to. Calls are answered in the order in which they were made. */
  key(call: RemoteCall): Promise<string>;
  /** The entry's next state, checked. */
  apply(call: RemoteCall, state: unknown): Promise<NextEntry>;
}

export interface RemoteHandler extends Handler {
  readonly remote: Remote;
}

export function remoteOf(handler: Handler): Remote | undefined {
  return "remote" in handler ? (handler as RemoteHandler).remote : undefined;
}

/** One attempt; gives what is to be stored, or nothing where the session was over before. Rejects with what the handler threw, or with why it was stopped. */
export async function attemptRemotely(
  remote: Remote,
  scope: Scope,
  job: RemoteCall["job"] & Pick<EventJob, "handler" | "key">,
  terms: Terms,
): Promise<readonly BatchMessage[] | undefined> {
  const { entries } = scope;
  const { readEntry, findEntries } = scope.around;
  const call = { job, terms, readEntry, findEntries };
  if (entries !== undefined) {
    const state = entries.known(job.key)?.state ?? (await entries.read(job.key));
    const next = await remote.apply(call, state);
    return [entries.fold(job.key, next.state, next.marks)];
  }
  const effects = await remote.run(call);
  return allFit(scope, effects) ? effects : await storeLarge(scope, job.handler.name, effects);
}

/** The entry that an event belongs to, for the version that is current. */
export async function keyRemotely(scope: Scope, job: RemoteCall["job"]): Promise<string> {
  const handler = scope.handler();
  const remote = remoteOf(handler);
  assert(remote !== undefined);
  const { readEntry, findEntries } = scope.around;
  return await remote.key({ job, terms: termsOf(scope, handler), readEntry, findEntries });
}
