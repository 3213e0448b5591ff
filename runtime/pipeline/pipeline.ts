// All handlers of one process: which run, and what they share (committers, identity index, what comes due).
// Owns their lives. A handler in the table has exactly one runner.
import { setMaxListeners } from "node:events";
import { ulid } from "ulid";
import type { Handler } from "../authoring/index.ts";
import {
  type Broker,
  deadStreamConfig,
  ensureStream,
  homeStreamConfig,
  identitiesStreamConfig,
  retryStreamConfig,
} from "../broker/index.ts";
import { describeThrown } from "../events/index.ts";
import { type Committer, createCommitter } from "./commit.ts";
import type { OpenEntries } from "./entries.ts";
import type { HandlerState, Report } from "./facts.ts";
import type { ReadEntry } from "./handle.ts";
import {
  type Identities,
  type IdentityLimits,
  startIdentities,
} from "./identities/index-reader.ts";
import { cutHead } from "./retention.ts";
import { startDue } from "./retry/due.ts";
import { boundedError } from "./retry/parcel.ts";
import { type Runner, startRunner } from "./runner.ts";
import type { Defaults } from "./scope.ts";

export interface PipelineParts {
  readonly broker: Broker;
  readonly homeMaxBytes: number;
  readonly defaults: Defaults;
  readonly identityLimits: IdentityLimits;
  readonly openEntries: OpenEntries;
  readonly readEntry: ReadEntry;
  /** Positions in a stack in terms of the handler's source. */
  readonly mapStack: (stack: string) => string;
  readonly report: Report;
}

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
  readonly identities: { readonly size: number; readonly bytes: number };
  /** Finishes what is in flight within `drainMs`, stores it, and stops. */
  stop(drainMs: number): Promise<void>;
}

const cutEveryMs = 60_000;

export async function startPipeline(parts: PipelineParts): Promise<Pipeline> {
  const { broker, report, defaults } = parts;
  const runners = new Map<string, Runner>();
  const leaving = new Map<string, Promise<void>>();
  const committers = new Map<string, Committer>();
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal); // one for each attempt in flight
  const instance = ulid();
  let applying: Promise<void> = Promise.resolve();

  const ensureStreams = () => makeStreams(broker, parts.homeMaxBytes);
  await ensureStreams();
  const identities: Identities = await startIdentities(
    broker,
    broker.home,
    parts.identityLimits,
    report,
  );
  const due = await startDue(broker, (name) => runners.get(name), report);
  const cutting = setInterval(() => void cut(), cutEveryMs);

  function committerOf(stream: string): Committer {
    let committer = committers.get(stream);
    if (committer === undefined) {
      committer = createCommitter(broker, stream, report);
      committers.set(stream, committer);
    }
    return committer;
  }

  function start(handler: Handler): Runner {
    return startRunner(handler, {
      broker,
      instance,
      defaults,
      around: { report, readEntry: parts.readEntry, stopping: stopping.signal },
      identities,
      committerOf,
      openEntries: parts.openEntries,
      ensureStreams,
      explain(thrown) {
        const facts = describeThrown(thrown);
        const stack = facts.stack === undefined ? {} : { stack: parts.mapStack(facts.stack) };
        return boundedError({ ...facts, ...stack });
      },
    });
  }

  async function change(handlers: readonly Handler[]): Promise<void> {
    const wanted = new Map(handlers.map((handler) => [handler.name, handler]));
    // What is in flight of a removed handler finishes by itself; nobody else waits for it.
    for (const [name, runner] of runners) {
      // Under one name, a reaction and a projection have different ledgers: another handler altogether.
      const next = wanted.get(name);
      if (next?.declaration.kind === runner.handler.declaration.kind) continue;
      runners.delete(name);
      leaving.set(
        name,
        runner.stop().finally(() => leaving.delete(name)),
      );
    }
    for (const [name, handler] of wanted) {
      const runner = runners.get(name);
      await leaving.get(name);
      if (runner === undefined) runners.set(name, start(handler));
      else if (runner.handler !== handler) await runner.swap(handler);
    }
  }

  async function cut(): Promise<void> {
    const all = [...runners.values()];
    if (all.some((runner) => runner.state === "starting")) return; // its floor is not known yet
    await cutHead(broker, all, defaults, report, Date.now()).catch((error: unknown) => {
      const message = `the head of ${broker.home} was not cut: ${describeThrown(error).message}; the next round tries again`;
      report({ kind: "trouble", code: "EDDY_HEAD_NOT_CUT", about: broker.home, message });
    });
  }

  return {
    apply(handlers) {
      applying = applying.then(() => change(handlers));
      return applying;
    },
    status: () =>
      [...runners.values()].map(({ handler, state, detail, inFlight }) => ({
        handler,
        state,
        inFlight,
        ...(detail === undefined ? {} : { detail }),
      })),
    cutHead: cut,
    identities,
    async stop(drainMs) {
      clearInterval(cutting);
      const timer = setTimeout(() => stopping.abort(), drainMs);
      await applying;
      await due.stop();
      await Promise.all([...runners.values()].map((runner) => runner.stop()));
      await Promise.all(leaving.values());
      for (const committer of committers.values()) committer.stop();
      await identities.stop();
      clearTimeout(timer);
    },
  };
}

async function makeStreams(broker: Broker, homeMaxBytes: number): Promise<void> {
  const { jsm, home } = broker;
  await ensureStream(jsm, homeStreamConfig(home, homeMaxBytes));
  await ensureStream(jsm, retryStreamConfig);
  await ensureStream(jsm, deadStreamConfig);
  await ensureStream(jsm, identitiesStreamConfig);
}
