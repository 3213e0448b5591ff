// A whole node: HTTP, handlers, connection and pipeline put together, started, drained and stopped.
// N1 HTTP answers from the start, also while no NATS server does: /readyz says why.
// N2 Handlers load while the connection is made; the pipeline runs the newest set. N3 A drain stores what is in flight.
import { ulid } from "ulid";
import type { Handler } from "../authoring/index.ts";
import {
  type Broker,
  type BrokerOptions,
  connectBrokerPatiently,
  createIngress,
  watchConnection,
} from "../broker/index.ts";
import { describeThrown, EddyError } from "../events/index.ts";
import { createApp, type HttpPorts, type HttpServer, serveHttp } from "../http/index.ts";
import { createThreads, type ModuleWatch, mapStack, watchModules } from "../modules/index.ts";
import { createMetrics, type Gauges, type Logger, logFacts, logModules } from "../observe/index.ts";
import { type Pipeline, type Report, readHandlers, startPipeline } from "../pipeline/index.ts";
import {
  createEntryReads,
  type EntryReads,
  findEntries,
  openEntries,
  openPast,
  openProjectionReader,
  type Past,
  type ProjectionReader,
} from "../projections/index.ts";
import type { Config } from "./config.ts";
import { collectWhenIdle } from "./idle-heap.ts";
import { type NodeState, readinessOf } from "./readiness.ts";
import { verifyWith } from "./rehearse.ts";
import { watchStrays } from "./strays.ts";

export interface NodeOptions {
  readonly log: Logger;
  /** Log level of events that went well. Default `debug`. */
  readonly handledAt?: "info" | "debug";
}

export interface Node {
  /** Where HTTP listens. */
  readonly url: string;
  /** Resolves once the connection stands and the handlers of the folder were handed to the pipeline. */
  readonly started: Promise<void>;
  /** Finishes what is in flight within `config.drainMs`, stores it, and stops. */
  drain(): Promise<void>;
}

/** Questions about the past that are worked on side by side: each reads the log, and keeps the thread busy. */
const pastQuestionsMax = 2;

/** What a node is made of once it is connected. */
interface Core {
  readonly broker: Broker;
  readonly pipeline: Pipeline;
  readonly projections: ProjectionReader;
  readonly reads: EntryReads;
  readonly past: Past;
  readonly store: HttpPorts["store"];
}

/** Starts a node. Rejects where HTTP cannot listen; `started` rejects where the server will never do. */
export async function startNode(config: Config, options: NodeOptions): Promise<Node> {
  const { log } = options;
  const stopping = new AbortController();
  const forgetStrays = watchStrays(log);
  let broker: Broker | undefined;
  let core: Core | undefined;
  let connected = false;
  let applied = false; // the folder's handlers were handed over: before, no handler means nothing
  let handlers: readonly Handler[] = [];

  const metrics = createMetrics(
    async () => await gaugesOf(core),
    () => core?.reads.status() ?? [],
  );
  const logFact = logFacts(log, options.handledAt ?? "debug");
  let outcomes = 0;
  const stopCollecting = collectWhenIdle(() => outcomes);
  const report: Report = (fact) => {
    if (fact.kind === "outcome") outcomes++;
    metrics.report(fact);
    logFact(fact);
  };
  const state = (): NodeState => ({
    connected,
    handlers: applied ? core?.pipeline.status() : undefined,
  });
  const http = await serve(config, () => core, state, metrics.text, stopping.signal, log);
  const threads = createThreads(config.folders, report);
  const modules = watchModules({
    folder: config.handlers,
    pollMs: config.watch.pollMs,
    onReport: logModules(log),
    threads,
    verify: verifyWith(() => core, config.deadlineMs),
    async onHandlers(next) {
      handlers = next;
      if (core !== undefined) await applyTo(core, next);
    },
  });
  modules.catch(() => {}); // `started` rejects with it, but not before the connection stands
  const started = bringUp();
  started.catch(() => {}); // whoever starts the node looks at it; it must not end the process before

  async function bringUp(): Promise<void> {
    const made = await connectBrokerPatiently(
      brokerOptions(config),
      namesIn(config),
      (error, waitMs) =>
        log.warn({ code: error.code }, `${error.message} (next try in ${waitMs} ms)`),
      stopping.signal,
    );
    broker = made;
    if (made.warning !== undefined) log.warn(made.warning);
    connected = true;
    watchConnection(made.nc, (change) => {
      connected = change.connected;
      const fact = { code: "EDDY_DISCONNECTED", about: change.server, message: change.message };
      report({ kind: change.connected ? "mended" : "trouble", ...fact });
    });
    core = await untilItStands(
      () => makeCore(config, made, report, () => handlers),
      log,
      stopping.signal,
    );
    await modules;
    await applyTo(core, handlers);
    applied = true;
  }

  return {
    url: http.url,
    started,
    async drain() {
      stopping.abort();
      await closeModules(modules);
      await http.close();
      await started.catch(() => {});
      await core?.pipeline.stop(config.drainMs);
      await threads.close();
      await core?.reads.close();
      await broker?.close(); // also where nothing was made with it
      forgetStrays();
      stopCollecting();
    },
  };
}

export async function makeCore(
  config: Config,
  broker: Broker,
  report: Report,
  handlers: () => readonly Handler[],
): Promise<Core> {
  const projections = await openProjectionReader(broker.nc, broker);
  const reads = createEntryReads(broker, projections, report);
  const parts = pipelineParts(config, broker, projections, reads, report);
  const pipeline = await startPipeline(parts);
  const store = createIngress(broker.nc, { stream: broker.home, objects: broker.objects });
  const runs = { deadlineMs: config.deadlineMs, readEntry: parts.readEntry };
  const past = openPast({ broker, runs, handlers }, pastQuestionsMax);
  return { broker, pipeline, projections, reads, past, store };
}

async function applyTo({ pipeline, reads }: Core, handlers: readonly Handler[]): Promise<void> {
  const declared = handlers.map(({ declaration }) => declaration);
  reads.keep(declared.filter((one) => one.kind === "projection"));
  await pipeline.apply(handlers);
}

// A server that answers too late, as while it recovers its store, is asked again. An EddyError needs somebody to act.
async function untilItStands<T>(
  make: () => Promise<T>,
  log: Logger,
  stop: AbortSignal,
): Promise<T> {
  for (;;) {
    try {
      return await make();
    } catch (error) {
      if (error instanceof EddyError || stop.aborted) throw error;
      log.warn(`the pipeline did not start: ${describeThrown(error).message}. Next try in 1 s`);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

async function serve(
  config: Config,
  core: () => Core | undefined,
  state: () => NodeState,
  metrics: () => Promise<string>,
  closing: AbortSignal,
  log: Logger,
): Promise<HttpServer> {
  const { secret } = config.webhooks.github;
  const ready = () => {
    const now = core();
    if (now === undefined) throw notConnected(config);
    return now;
  };
  const app = createApp({
    store: async (events) => await ready().store(events),
    projections: {
      list: async () => await ready().projections.list(),
      keys: async (name, query) => await ready().projections.keys(name, query),
      entries: async (name, query) => await ready().projections.entries(name, query),
      get: async (name, key) => await ready().projections.get(name, key),
      reach: async (name, wait) => await ready().projections.reach(name, wait),
      watch: async (name, options) => await ready().projections.watch(name, options),
    },
    past: () => ready().past,
    readiness: () => readinessOf(state()),
    metrics,
    closing,
    bodyBytesMax: config.http.maxBodyBytes,
    origins: config.http.origins,
    unexpected: (error) =>
      log.error(
        { err: error },
        `a request failed by a fault of ours: ${describeThrown(error).message}`,
      ),
    ...(secret === undefined ? {} : { githubSecret: secret }),
  });
  return await serveHttp(app, { host: config.http.host, port: config.http.port });
}

function notConnected(config: Config): EddyError {
  const servers = config.nats.servers.join(", ").replace(/\/\/[^@/,]*@/g, "//***@");
  return new EddyError(
    "EDDY_NOT_CONNECTED",
    `not connected to NATS (${servers}) yet; the runtime keeps trying. Send the request again`,
  );
}

function namesIn({ app, home, state, objects }: Config) {
  return { app, home: home.stream, state: state.stream, objects };
}

function brokerOptions({ app, nats }: Config): BrokerOptions {
  return { ...nats, name: nats.name ?? `eddy ${app} ${ulid()}` };
}

function pipelineParts(
  config: Config,
  broker: Broker,
  projections: ProjectionReader,
  reads: EntryReads,
  report: Report,
): Parameters<typeof startPipeline>[0] {
  return {
    broker,
    homeMaxBytes: config.home.maxBytes,
    defaults: {
      deadlineMs: config.deadlineMs,
      delaysMs: config.retry.delaysMs,
      jitter: config.retry.jitter,
      deathsMax: config.crashes.deaths,
      retentionMs: config.home.retentionMs,
      tombstoneMs: config.state.tombstonesMs,
    },
    identityLimits: { countMax: config.identities.count, ageMs: config.identities.ageMs },
    openEntries: (projection) => openEntries(broker, projection, report),
    readEntry: reads.read,
    onStored: reads.stored,
    findEntries: (projection, query) => findEntries(projections, projection, query),
    mapStack,
    report,
  };
}

async function gaugesOf(core: Core | undefined): Promise<Gauges> {
  if (core === undefined) return { handlers: [], identities: 0, identitiesLeft: 0 };
  const status = new Map(core.pipeline.status().map((s) => [s.handler.name, s.inFlight]));
  const rows = await readHandlers(core.broker);
  return {
    handlers: rows
      .filter((row) => status.has(row.name))
      .map(({ name, lag }) => ({ handler: name, lag, inFlight: status.get(name) ?? 0 })),
    identities: core.pipeline.identities.size,
    identitiesLeft: core.pipeline.identities.left,
  };
}

async function closeModules(modules: Promise<ModuleWatch>): Promise<void> {
  const loaded = await modules.catch(() => undefined); // where the first set failed, nothing watches
  await loaded?.close();
}
