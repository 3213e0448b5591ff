// What the rows that drain a backlog have in common: a fresh server on a copy of the backlog, a worker, and a look at
// what it has stored.
import { backlogOf } from "../backlog.ts";
import type { Bench } from "../measure.ts";
import type { Sample } from "../row.ts";
import type { Sync } from "../server.ts";
import type { Template } from "../stores.ts";
import { assertEmittedOnce, assertFolded } from "../verify.ts";
import type { DrainResult, DrainTask } from "../workers/drain-task.ts";

export interface Drain {
  readonly worker: string;
  readonly sync: Sync;
  readonly does: DrainTask["does"];
  /** Default: all of the backlog. */
  readonly events?: number;
  /** Size of the backlog. Default: the bench's. */
  readonly backlog?: number;
  readonly keys?: number;
  readonly types?: number;
  readonly handlers?: number;
  readonly inFlight?: number;
  /** A store with more in it than the backlog, and the app that has worked on it before. */
  readonly from?: { readonly template: Template; readonly app: string };
}

/** Drains once. `rate` is events a second, `cpuUs` processor time an event. */
export async function drain(bench: Bench, run: string, drain: Drain): Promise<Sample> {
  const whole = { backlog: bench.events, ...usual, ...drain };
  if (!bench.quick) return await drainAnew(bench, run, whole);
  const samples = samplesOf.get(bench) ?? new Map<string, Promise<Sample>>();
  samplesOf.set(bench, samples);
  const key = JSON.stringify(Object.entries(whole).sort());
  const sample = samples.get(key) ?? drainAnew(bench, run, whole);
  samples.set(key, sample);
  return await sample;
}

const usual = { keys: 1_000, types: 1, handlers: 1, inFlight: 0 } as const;

/** What a quick bench has drained: the same that another row asks for is not drained again. */
const samplesOf = new WeakMap<Bench, Map<string, Promise<Sample>>>();

async function drainAnew(
  bench: Bench,
  run: string,
  drained: Drain & Required<Pick<Drain, "backlog" | keyof typeof usual>>,
): Promise<Sample> {
  const { worker, sync, does, backlog, keys, types, handlers, inFlight } = drained;
  const events = Math.min(drained.events ?? backlog, backlog);
  const shape = { keys, types };
  const warmUp = Math.ceil(bench.warmUp / (types === 1 ? handlers : 1));
  await using warm =
    warmUp === 0
      ? undefined
      : await bench.stores.start(backlogOf({ ...shape, events: warmUp }), "default");
  const template = drained.from?.template ?? backlogOf({ ...shape, events: backlog });
  await using server = await bench.stores.start(template, sync);
  const task: DrainTask = {
    ...(warm === undefined ? {} : { warmUp: { url: warm.url, events: warmUp } }),
    measured: { url: server.url, events },
    run: drained.from?.app ?? run,
    ...{ does, handlers, types, inFlight },
  };
  const result = await bench.workers.run<DrainResult>(worker, task);
  if (does === "emit") await assertEmittedOnce(server.url, events);
  if (does === "fold") await assertFolded(server.url, events, keys);
  return {
    rate: (result.handled / result.ms) * 1_000,
    cpuUs: (result.cpuMs * 1_000) / result.handled,
  };
}

/** Both ways of the server to sync; a quick bench has time for one of them. */
export function syncsOf({ quick }: Bench, quickOnly: Sync): readonly Sync[] {
  return quick ? [quickOnly] : bothSyncs;
}

const bothSyncs: readonly Sync[] = ["default", "always"];
