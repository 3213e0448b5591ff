// The rebuilds of one process: asked for by an operator, or by a projection that has changed and says `rebuild: "auto"`.
// B1 One rebuild of a projection at a time. B2 A version that cannot be rebuilt runs on the entries that are there.
import { type Handler, parseDuration } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { describeThrown, EddyError } from "../../events/index.ts";
import type { Report } from "../facts.ts";
import type { Identities } from "../identities/identities.ts";
import type { Place } from "../ledger/place.ts";
import { openRepeats, type Repeats } from "../log/repeats.ts";
import type { ReadEntry } from "../read-entry.ts";
import type { Defaults } from "../scope.ts";
import type { From } from "./beginning.ts";
import { createChanges } from "./changes.ts";
import {
  type Holder,
  type RebuildParts,
  type RebuildProgress,
  type Rebuilt,
  rebuildBeside,
  rebuildHeld,
} from "./rebuild.ts";
import { serveRebuilds } from "./service.ts";
import { isAuto, shapeOf } from "./shape.ts";
import type { AtStart } from "./turns.ts";

export interface RebuildOptions {
  /** Events from there on count alone. Default: all. */
  readonly from?: From;
  readonly onProgress?: (progress: RebuildProgress) => void;
}

/** The runner of a handler. */
export interface HandlerRunner extends Holder {
  readonly place: Place;
  /** The shape that its entries were folded by; undefined while nobody has read it, and for a reaction. */
  readonly shape: string | undefined;
  swap(next: Handler): Promise<void>;
}

export interface Rebuilds {
  /** Rebuilds a projection that runs here. @throws EddyError `EDDY_REBUILD_…`, `EDDY_PROJECTION_UNKNOWN` */
  run(name: string, options: RebuildOptions): Promise<Rebuilt>;
  /** A new version of a handler: swaps it at once, or once its entries are rebuilt. */
  swap(runner: HandlerRunner, next: Handler): Promise<void>;
  readonly atStart: AtStart;
  cancel(name: string): void;
  stop(): void;
}

interface RebuildsParts {
  readonly broker: Broker;
  readonly defaults: Defaults;
  readonly readEntry: ReadEntry;
  readonly identitiesOf: (stream: string) => Promise<Pick<Identities, "knows" | "repeatOf">>;
  readonly report: Report;
  readonly runnerOf: (name: string) => HandlerRunner | undefined;
}

export function startRebuilds(parts: RebuildsParts): Rebuilds {
  const { broker, report, runnerOf } = parts;
  const underWay = createUnderWay();
  const changes = createChanges(report);
  const failed = new Set<string>(); // versions that could not be rebuilt: not again before they change
  const unserve = serveRebuilds(broker, {
    holds: (name) => projectionOf(name)?.state === "running",
    rebuild: run,
    stop(name) {
      if (underWay.nextOf(name) === undefined) underWay.cancel(name); // else a new version would never run
    },
  });

  function projectionOf(name: string): HandlerRunner | undefined {
    const runner = runnerOf(name);
    return runner?.handler.declaration.kind === "projection" ? runner : undefined;
  }

  async function run(name: string, options: RebuildOptions): Promise<Rebuilt> {
    const runner = projectionOf(name);
    if (runner === undefined) throw unknownHere(name);
    return await beside(runner, runner.handler, options);
  }

  async function beside(
    runner: HandlerRunner,
    handler: Handler,
    options: RebuildOptions,
    next?: Handler,
  ): Promise<Rebuilt> {
    return await underWay.during(handler.name, next, async (signal) => {
      if (runner.state !== "running") throw notRunning(handler.name);
      const all = { ...partsOf(parts, handler, runner.place, signal), ...options };
      const rebuilt = await rebuildBeside(all, runner, next);
      changes.look(handler, shapeOf(handler));
      return rebuilt;
    });
  }

  async function auto(runner: HandlerRunner, next: Handler): Promise<void> {
    const { name, version } = next;
    if (underWay.nextOf(name)?.version === version) return;
    underWay.cancel(name);
    changes.begin(name);
    try {
      await beside(runner, next, {}, next);
    } catch (error) {
      if (error instanceof Stopped) return; // there is a newer version, or no runtime
      say(name, error);
      await runner.swap(next);
      changes.look(next, runner.shape);
    }
  }

  function say(name: string, error: unknown): void {
    const code = error instanceof EddyError ? error.code : "EDDY_REBUILD_FAILED";
    report({ kind: "trouble", code, about: name, message: describeThrown(error).message });
  }

  return {
    run,
    async swap(runner, next) {
      const { shape, state } = runner;
      if (shape !== undefined && shapeOf(next) !== shape && isAuto(next) && state === "running") {
        void auto(runner, next);
        return;
      }
      if (underWay.nextOf(next.name) !== undefined) underWay.cancel(next.name);
      await runner.swap(next);
      if (next.declaration.kind === "projection") changes.look(next, shape);
    },
    atStart(handler, place, shape) {
      const { name } = handler;
      const version = `${name} ${shapeOf(handler)}`;
      const changed = shape !== undefined && shape !== shapeOf(handler);
      if (!changed || !isAuto(handler) || failed.has(version)) {
        changes.look(handler, shape);
        return undefined;
      }
      changes.begin(name);
      return async (fenced) => {
        try {
          const after = await underWay.during(name, handler, (signal) =>
            rebuildHeld(partsOf(parts, handler, place, signal), fenced),
          );
          changes.look(handler, after.record.shape);
          return after;
        } catch (error) {
          failed.add(version);
          if (!(error instanceof Stopped)) say(name, error);
          throw error;
        }
      };
    },
    cancel: underWay.cancel,
    stop() {
      unserve();
      underWay.cancelAll();
    },
  };
}

function partsOf(
  { broker, defaults, readEntry, identitiesOf }: RebuildsParts,
  handler: Handler,
  place: Place,
  signal: AbortSignal,
): RebuildParts {
  const deadlineMs = parseDuration(handler.declaration.options.deadline) ?? defaults.deadlineMs;
  const read = new Map<string, Repeats>(); // where the index of a stream has not come so far
  return {
    ...{ broker, handler, place, signal, readEntry, deadlineMs },
    async repeatsUpTo({ stream, createdMs }, seq) {
      const identities = await identitiesOf(stream);
      if (identities.knows(createdMs, seq)) return identities.repeatOf;
      const repeats = read.get(stream) ?? openRepeats(broker, stream);
      read.set(stream, repeats);
      return await repeats.upTo(seq, signal);
    },
  };
}

/** The rebuilds that run, by projection; `next` is the version that takes over by itself. */
function createUnderWay() {
  const all = new Map<string, { readonly stop: AbortController; readonly next?: Handler }>();

  function cancel(name: string): void {
    all.get(name)?.stop.abort(stopped(name));
    all.delete(name);
  }

  return {
    cancel,
    cancelAll() {
      for (const name of [...all.keys()]) cancel(name);
    },
    nextOf: (name: string) => all.get(name)?.next,
    async during<T>(
      name: string,
      next: Handler | undefined,
      work: (signal: AbortSignal) => Promise<T>,
    ): Promise<T> {
      if (all.has(name)) throw isUnderWay(name);
      const mine = { stop: new AbortController(), ...(next === undefined ? {} : { next }) };
      all.set(name, mine);
      try {
        return await work(mine.stop.signal);
      } finally {
        if (all.get(name) === mine) all.delete(name);
      }
    },
  };
}

/** Somebody has asked for the end of it. */
class Stopped extends EddyError {}

function stopped(name: string): EddyError {
  const text = `the rebuild of projection ${name} was stopped: its entries are as they were. Ask again`;
  return new Stopped("EDDY_REBUILD_STOPPED", text, { projection: name });
}

function isUnderWay(name: string): EddyError {
  const text = `projection ${name} is being rebuilt already. Wait for the end of that, and ask again`;
  return new EddyError("EDDY_REBUILD_UNDER_WAY", text, { projection: name });
}

function unknownHere(name: string): EddyError {
  const text = `no projection ${JSON.stringify(name.slice(0, 100))} runs here. See: eddy handlers`;
  return new EddyError("EDDY_PROJECTION_UNKNOWN", text);
}

function notRunning(name: string): EddyError {
  const text = `projection ${name} is only starting here. Nothing has changed; ask again`;
  return new EddyError("EDDY_REBUILD_FAILED", text, { projection: name });
}
