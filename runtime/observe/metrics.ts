// Counters and timings for Prometheus, in a registry of their own. Labels are names of handlers, streams and a few
// fixed words, never text of an event, so their number is bounded.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Fact, Report } from "../pipeline/index.ts";
import { type LocalGauges, showLocals } from "./local-gauges.ts";
import { countOutcomes } from "./outcomes.ts";

/** What is read at the moment when somebody asks. */
export interface Gauges {
  readonly handlers: readonly HandlerGauges[];
  /** Entries of the identity index. */
  readonly identities: number;
  /** Entries that have left it since the start, by count or age: their repeats are not recognised any more. */
  readonly identitiesLeft: number;
}

export interface HandlerGauges {
  readonly handler: string;
  /** Events that wait in the stream. */
  readonly lag: number;
  readonly inFlight: number;
}

export interface Metrics {
  readonly report: Report;
  /** The exposition text of Prometheus. */
  text(): Promise<string>;
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const messages = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_000];

/** `read` may fail, as when there is no connection: then its gauges are absent. */
export function createMetrics(
  read: () => Gauges | Promise<Gauges>,
  locals: () => readonly LocalGauges[] = () => [],
): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const report = counting(registry);
  const show = showing(registry);
  const showKept = showLocals(registry);
  return {
    report,
    async text() {
      show(await readOrNothing(read));
      showKept(locals());
      return registry.metrics();
    },
  };
}

async function readOrNothing(read: () => Gauges | Promise<Gauges>): Promise<Gauges | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}

function counting(registry: Registry): Report {
  const registers = [registry];
  const retries = new Counter({
    name: "eddy_retries_total",
    help: "Failed attempts that will be followed by another one, by handler",
    labelNames: ["handler"],
    registers,
  });
  const commit = new Histogram({
    name: "eddy_commit_seconds",
    help: "Time to store one batch, by stream",
    labelNames: ["stream"],
    buckets: seconds,
    registers,
  });
  const commitMessages = new Histogram({
    name: "eddy_commit_messages",
    help: "Messages in one batch, by stream",
    labelNames: ["stream"],
    buckets: messages,
    registers,
  });
  const commitBytes = new Counter({
    name: "eddy_commit_bytes_total",
    help: "Bytes stored in batches, by stream",
    labelNames: ["stream"],
    registers,
  });
  const troubles = new Counter({
    name: "eddy_troubles_total",
    help: "Times that something was wrong which the runtime mends by itself, by code",
    labelNames: ["code"],
    registers,
  });
  const outcome = countOutcomes(registry, seconds);
  const enrichment = countEnrichments(registry);

  return (fact: Fact) => {
    switch (fact.kind) {
      case "outcome":
        return outcome(fact);
      case "enrich":
        return enrichment(fact);
      case "retry":
        return retries.inc({ handler: fact.handler });
      case "commit":
        commit.observe({ stream: fact.stream }, fact.ms / 1_000);
        commitMessages.observe({ stream: fact.stream }, fact.messages);
        return commitBytes.inc({ stream: fact.stream }, fact.bytes);
      case "trouble":
        return troubles.inc({ code: fact.code });
    }
  };
}

/** Gives what is to be called for each. */
function countEnrichments(registry: Registry): (fact: Extract<Fact, { kind: "enrich" }>) => void {
  const registers = [registry];
  const calls = new Counter({
    name: "eddy_enrich_calls_total",
    help: "Calls of the source of an enrichment (answered, failed), by handler",
    labelNames: ["handler", "result"],
    registers,
  });
  const saved = new Counter({
    name: "eddy_enrich_calls_saved_total",
    help: "Notifications that another one's call has answered, by handler",
    labelNames: ["handler"],
    registers,
  });
  const postponed = new Counter({
    name: "eddy_enrich_postponed_total",
    help: "Times that a notification was stored for later without an attempt, by handler",
    labelNames: ["handler"],
    registers,
  });
  return ({ handler, what }) => {
    if (what === "saved") saved.inc({ handler });
    else if (what === "postponed") postponed.inc({ handler });
    else calls.inc({ handler, result: what });
  };
}

function showing(registry: Registry): (gauges: Gauges | undefined) => void {
  const registers = [registry];
  const lag = new Gauge({
    name: "eddy_lag_events",
    help: "Events that wait in the stream, by handler",
    labelNames: ["handler"],
    registers,
  });
  const inFlight = new Gauge({
    name: "eddy_in_flight_events",
    help: "Events that have been delivered and have no outcome yet, by handler",
    labelNames: ["handler"],
    registers,
  });
  const identities = new Gauge({
    name: "eddy_identities",
    help: "Entries of the identity index",
    registers,
  });
  const left = new Gauge({
    name: "eddy_identities_left",
    help: "Entries that have left the identity index since the start, by count or age",
    registers,
  });
  return (gauges) => {
    lag.reset(); // handlers that are gone leave nothing behind
    inFlight.reset();
    identities.remove();
    left.remove();
    if (gauges === undefined) return;
    identities.set(gauges.identities);
    left.set(gauges.identitiesLeft);
    for (const handler of gauges.handlers) {
      lag.set({ handler: handler.handler }, handler.lag);
      inFlight.set({ handler: handler.handler }, handler.inFlight);
    }
  };
}
