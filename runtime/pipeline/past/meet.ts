// The events of a projection in a range of the log, each under the key of its entry.
// M1 Code of the author never sees an event that is dead or was discarded, nor a repeat of one: it may have ended the
// process before. M2 Between two slices everything else of the process has its turn.
import type { Handler } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { isAway, keyOf } from "../../events/index.ts";
import { type LogRange, readLog, type SeenJob } from "../log/read-log.ts";
import type { RepeatsIn } from "../log/repeats-in.ts";
import type { Sighting } from "../log/sight.ts";
import { type Aside, letterOf, standingOf } from "./aside.ts";
import { type Functions, functionsOf, type Runs } from "./functions.ts";

export interface PastParts {
  readonly broker: Broker;
  readonly handler: Handler;
  readonly runs: Runs;
  readonly aside: Aside;
  readonly repeatsIn: RepeatsIn;
  readonly signal: AbortSignal;
}

/** An event at its place, and what the projection makes of it before it would fold it. */
export interface Met {
  readonly job: SeenJob;
  readonly sighting: Sighting;
  /** Of its entry; where nobody can tell it, the event's own ordering key. */
  readonly key: string;
  /** What `key` threw. */
  readonly keyless?: unknown;
}

type Found = Pick<Met, "job" | "sighting">;
type Keyed = { readonly key: string } | { readonly keyless: unknown };

const sliceMax = 200; // a few milliseconds

/** In slices, in the order of the log. Ends early with the signal's reason. */
export async function* meetEvents(
  parts: PastParts,
  ranges: readonly LogRange[],
): AsyncGenerator<Met[]> {
  const { broker, handler, aside, repeatsIn, signal } = parts;
  const functions = functionsOf(broker, handler, parts.runs);
  const reading = {
    ...{ broker, versions: [handler], repeatsIn, sliceMax },
    wantsData: (sighting: Sighting) => keyedBy(aside, sighting) === undefined,
  };
  for await (const { seen } of readLog(reading, ranges)) {
    signal.throwIfAborted();
    const found: Found[] = [];
    for (const { job, sighting } of seen[0] ?? []) if (job) found.push({ job, sighting });
    yield await keyAll(aside, functions, found);
    await new Promise((resolve) => setImmediate(resolve));
  }
  signal.throwIfAborted();
}

async function keyAll(aside: Aside, functions: Functions, seen: readonly Found[]): Promise<Met[]> {
  const met: Met[] = [];
  const asked: Promise<void>[] = [];
  for (const one of seen) {
    const keyed = keyedBy(aside, one.sighting) ?? askKey(functions, one.job);
    if (keyed instanceof Promise) {
      const at = met.push({ ...one, key: "" }) - 1;
      asked.push(keyed.then((later) => void met.splice(at, 1, metOf(one, later))));
    } else met.push(metOf(one, keyed));
  }
  await Promise.all(asked);
  return met;
}

function metOf({ job, sighting }: Found, keyed: Keyed): Met {
  if ("key" in keyed) return { job, sighting, key: keyed.key };
  return { job, sighting, key: keyOf(job.event), keyless: keyed.keyless };
}

/** The key of what the author's code must not see; undefined for all else. */
function keyedBy(aside: Aside, sighting: Sighting): Keyed | undefined {
  const { position } = sighting;
  const first =
    sighting.kind === "duplicate" ? { ...position, seq: sighting.firstSeq } : sighting.position;
  const standing = standingOf(aside, first);
  if (standing !== "dead" && standing !== "discarded") return undefined;
  const letter = letterOf(aside, first);
  if (letter?.reason === "schema") return undefined; // it never ran: nothing is known of its key, and nothing to fear
  return letter?.key === undefined ? { keyless: undefined } : { key: letter.key };
}

function askKey(functions: Functions, job: SeenJob) {
  const failed = (keyless: unknown): Keyed => ({ keyless });
  if (isAway(job.event)) return failed(undefined); // its data is not there, and the author's code needs it
  try {
    const key = functions.key(job);
    return key instanceof Promise ? key.then((key): Keyed => ({ key }), failed) : { key };
  } catch (error) {
    return failed(error);
  }
}
