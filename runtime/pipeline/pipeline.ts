// All handlers of one process: which run, and what they share (committers, identity index).
// Owns their lives. A handler in the table has exactly one runner.
import { ulid } from "ulid";
import type { Handler, Projection } from "../authoring/index.ts";
import {
  type BatchMessage,
  type Broker,
  deadStreamConfig,
  ensureStream,
  homeStreamConfig,
  identitiesStreamConfig,
  retryStreamConfig,
  stateStreamConfig,
} from "../broker/index.ts";
import { describeThrown } from "../events/index.ts";
import { createSweep } from "./away/sweep.ts";
import { type Committer, createCommitter } from "./commit.ts";
import { createGate } from "./crashes/gate.ts";
import type { Entries, OpenEntries } from "./entries.ts";
import type { HandlerState, Report } from "./facts.ts";
import type { FindEntries } from "./find.ts";
import { createIndexes } from "./identities/by-stream.ts";
import type { Identities, IdentityLimits } from "./identities/identities.ts";
import { joined } from "./joined.ts";
import type { ReadEntry } from "./read-entry.ts";
import type { Rebuilt } from "./rebuild/rebuild.ts";
import { type RebuildOptions, startRebuilds } from "./rebuild/rebuilds.ts";
import { cutHead } from "./retention.ts";
import { boundedError, type ErrorFacts } from "./retry/parcel.ts";
import { type Runner, startRunner } from "./runner.ts";
import type { Defaults } from "./scope.ts";
import { withStateHandlers } from "./state/handlers.ts";
import { stateTypeOf } from "./state/names.ts";
import { createStopping, unlessCut } from "./stopping.ts";

export interface PipelineParts {
  readonly broker: Broker;
  readonly homeMaxBytes: number;
  readonly defaults: Defaults;
  readonly identityLimits: IdentityLimits;
  readonly openEntries: OpenEntries;
  readonly readEntry: ReadEntry;
  readonly findEntries: FindEntries;
  /** Learns at which sequence of a stream stored messages begin, before their events count as done. */
  readonly onStored?: OnStored;
  /** Positions in a stack in terms of the handler's source. */
  readonly mapStack: (stack: string) => string;
  readonly report: Report;
}

export type OnStored = (stream: string, firstSeq: number, batch: readonly BatchMessage[]) => void;

export interface HandlerStatus {
  readonly handler: Handler;
  readonly state: HandlerState;
  readonly detail?: string;
  readonly inFlight: number;
}

export interface Pipeline {
  /** Runs exactly these handlers: starts new ones, swaps versions, lets missing ones finish and stop. */
  apply(handlers: readonly Handler[]): Promise<void>;
  status(): readonly HandlerStatus[];
  /** One round of retention: cuts from the home stream's head what is old and done. It runs by itself each minute. */
  cutHead(): Promise<void>;
  /** Folds the entries of a projection that runs here anew. @throws EddyError `EDDY_REBUILD_…` */
  rebuild(name: string, options: RebuildOptions): Promise<Rebuilt>;
  readonly identities: { readonly size: number; readonly bytes: number; readonly left: number };
  /** Finishes what is in flight within `drainMs`, stores it, and stops. */
  stop(drainMs: number): Promise<void>;
}

const cutEveryMs = 60_000;
const sweepEveryMs = 600_000;

export async function startPipeline(parts: PipelineParts): Promise<Pipeline> {
  const { broker, report, defaults } = parts;
  const runners = new Map<string, Runner>();
  const leaving = new Map<string, Promise<void>>();
  const stopping = createStopping();
  const gate = createGate();
  const instance = ulid();
  let applying: Promise<void> = Promise.resolve();

  const ensureStreams = joined(() => makeStreams(broker, parts.homeMaxBytes));
  await ensureStreams();
  const indexes = createIndexes(broker, parts.identityLimits, report);
  const identities = await indexes.of(broker.home);
  const runnerOf = (name: string) => runners.get(name);
  const rebuilds = startRebuilds({ ...parts, identitiesOf: indexes.of, runnerOf });
  const committers = createCommitters(broker, report, identities, parts.onStored);
  const cut = joined(cutOnce);
  const rounds = setInterval(() => void cut(), cutEveryMs);
  const sweeps = startSweeps(broker, report);

  function start(handler: Handler): Runner {
    return startRunner(handler, {
      after: leaving.get(handler.name) ?? Promise.resolve(),
      broker,
      instance,
      defaults,
      around: { report, readEntry: parts.readEntry, findEntries: parts.findEntries, stopping },
      identitiesOf: indexes.of,
      committerOf: committers.of,
      openEntries: (projection) => open(parts, projection),
      gate,
      ensureStreams,
      atStart: rebuilds.atStart,
      explain: (thrown) => explained(thrown, parts.mapStack),
    });
  }

  async function change(handlers: readonly Handler[]): Promise<void> {
    const wanted = new Map(withStateHandlers(handlers).map((handler) => [handler.name, handler]));
    // What is in flight of a removed handler finishes by itself; nobody else waits for it.
    for (const [name, runner] of runners) {
      // Under one name, a reaction and a projection have different ledgers: another handler altogether.
      const next = wanted.get(name);
      if (next?.declaration.kind === runner.handler.declaration.kind) continue;
      rebuilds.cancel(name);
      runners.delete(name);
      leave(name, runner);
    }
    for (const [name, handler] of wanted) {
      const runner = runners.get(name);
      if (runner === undefined) runners.set(name, start(handler));
      else if (runner.handler !== handler) await rebuilds.swap(runner, handler);
    }
  }

  // Whoever comes back under the name starts after it; nobody else waits.
  function leave(name: string, runner: Runner): void {
    const gone = runner.stop().finally(() => {
      if (leaving.get(name) === gone) leaving.delete(name);
    });
    leaving.set(name, gone);
  }

  async function cutOnce(): Promise<void> {
    const all = [...runners.values()];
    if (all.some((runner) => runner.state === "starting")) return; // its floor is not known yet
    await cutHead(broker, all, defaults, report, Date.now()).catch((error: unknown) => {
      const message = `the head of ${broker.home} was not cut: ${describeThrown(error).message}; the next round tries again`;
      report({ kind: "trouble", code: "EDDY_HEAD_NOT_CUT", about: broker.home, message });
    });
  }

  return {
    apply(handlers) {
      const applied = applying.then(() => change(handlers));
      applying = applied.catch(() => {}); // its caller knows; the next set is applied all the same
      return applied;
    },
    status: () =>
      [...runners.values()].map(({ handler, state, detail, inFlight }) => ({
        handler,
        state,
        inFlight,
        ...(detail === undefined ? {} : { detail }),
      })),
    cutHead: cut,
    rebuild: rebuilds.run,
    identities: indexes,
    async stop(drainMs) {
      clearInterval(rounds);
      sweeps.stop();
      rebuilds.stop();
      const timer = setTimeout(stopping.cutOff, drainMs);
      await applying;
      await Promise.all([...runners.values()].map((runner) => runner.stop()));
      await Promise.all(leaving.values());
      committers.stop();
      await unlessCut(stopping, indexes.stop());
      clearTimeout(timer);
    },
  };
}

/** Removes data that nothing refers to any more, now and then. */
function startSweeps(broker: Broker, report: Report): { stop(): void } {
  const sweep = createSweep(broker);
  const round = joined(async () => {
    await sweep.run(Date.now()).catch((error: unknown) => {
      const about = broker.objects.bucket;
      const message = `what nobody needs was not removed from ${about}: ${describeThrown(error).message}; the next round tries again`;
      report({ kind: "trouble", code: "EDDY_OBJECTS_NOT_SWEPT", about, message });
    });
  });
  const timer = setInterval(() => void round(), sweepEveryMs);
  return { stop: () => clearInterval(timer) };
}

/** The compacted home has no entries to fold: its messages are the events. */
async function open(
  { broker, openEntries }: PipelineParts,
  projection: Projection,
): Promise<Entries | undefined> {
  if (stateTypeOf(projection.name) === undefined) return await openEntries(projection);
  await ensureStream(broker.jsm, stateStreamConfig(broker.state));
  return undefined;
}

/** One committer for each destination stream. */
function createCommitters(
  broker: Broker,
  report: Report,
  identities: Identities,
  onElsewhere: OnStored = () => {},
) {
  const committers = new Map<string, Committer>();
  const onStoredAtHome = (firstSeq: number, batch: readonly BatchMessage[]) =>
    identities.stored(
      firstSeq,
      batch.map(({ identity }) => identity),
    );
  return {
    of(stream: string): Committer {
      const onStored =
        stream === broker.home
          ? onStoredAtHome
          : (firstSeq: number, batch: readonly BatchMessage[]) =>
              onElsewhere(stream, firstSeq, batch);
      const committer = committers.get(stream) ?? createCommitter(broker, stream, report, onStored);
      committers.set(stream, committer);
      return committer;
    },
    stop() {
      for (const committer of committers.values()) committer.stop();
    },
  };
}

function explained(thrown: unknown, mapStack: (stack: string) => string): ErrorFacts {
  const facts = describeThrown(thrown);
  if (facts.stack === undefined) return boundedError(facts);
  try {
    return boundedError({ ...facts, stack: mapStack(facts.stack) });
  } catch {
    return boundedError(facts); // whatever a handler made of its stack
  }
}

async function makeStreams(broker: Broker, homeMaxBytes: number): Promise<void> {
  const { jsm, home } = broker;
  const wanted = [
    homeStreamConfig(home, homeMaxBytes),
    retryStreamConfig,
    deadStreamConfig,
    identitiesStreamConfig,
  ];
  await Promise.all(wanted.map((config) => ensureStream(jsm, config)));
}
