// The key of an event for its handler: a projection's entry, what an enrichment asks for, else the ordering key.
import { isAway, keyOf } from "../events/index.ts";
import { fetchWhole } from "./away/fetch.ts";
import { contractError, isLeftOut } from "./contract.ts";
import { enrichmentKey } from "./enrich/key.ts";
import { entryKey } from "./fold.ts";
import { keyRemotely, remoteOf } from "./remote.ts";
import type { EventJob, Scope } from "./scope.ts";

/** A promise only where the handler's functions run in another thread (after a reload in another one than before), or
 * where the key is made of data that is outside. */
export function keyOfJob(scope: Scope, job: EventJob): string | Promise<string> {
  const handler = scope.handler();
  const { declaration } = handler;
  if (declaration.kind !== "projection") {
    const { enrichment } = declaration;
    return enrichment === undefined ? keyOf(job.event) : enrichmentKey(enrichment, job.event);
  }
  if (isAway(job.event)) return keyOfAway(scope, job);
  return remoteOf(handler) === undefined
    ? entryKey(declaration, job.event)
    : keyRemotely(scope, job);
}

async function keyOfAway(scope: Scope, job: EventJob): Promise<string> {
  const whole = await fetchWhole(scope, job);
  if (whole === undefined) return keyOf(job.event); // the session is over
  try {
    const handler = scope.handler();
    const { declaration } = handler;
    const { event, original } = whole;
    // Neither runs, and its lane will say so.
    if (isLeftOut(handler, event) || contractError(handler, event) !== undefined)
      return keyOf(event);
    if (declaration.kind !== "projection") return keyOf(event);
    if (remoteOf(handler) === undefined) return entryKey(declaration, event);
    const { position, attempt } = job;
    return await keyRemotely(scope, { event, original, position, attempt });
  } finally {
    whole.release();
  }
}
