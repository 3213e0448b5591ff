// The key of an event for its handler: a projection's entry, else the ordering key.
import { keyOf } from "../events/index.ts";
import { entryKey } from "./fold.ts";
import { keyRemotely, remoteOf } from "./remote.ts";
import type { EventJob, Scope } from "./scope.ts";

/** A promise only where the handler's functions run in another thread: after a reload in another one than before. */
export function keyOfJob(scope: Scope, job: EventJob): string | Promise<string> {
  const handler = scope.handler();
  const { declaration } = handler;
  if (declaration.kind !== "projection") return keyOf(job.event);
  return remoteOf(handler) === undefined
    ? entryKey(declaration, job.event)
    : keyRemotely(scope, job);
}
