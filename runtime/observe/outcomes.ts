// What became of events, and how long it took: counted in plain numbers, and handed to the registry when somebody asks.
// The registry's own counters and histograms cost more for each event than its ledger does.
// O1 A handler has all outcomes from its first event on, so that a rate is never missing.
import { Counter, Histogram, type Registry } from "prom-client";
import type { Fact } from "../pipeline/index.ts";

type Outcome = Extract<Fact, { kind: "outcome" }>;

const outcomes = ["handled", "duplicate", "filtered", "expired", "dead"] as const;

/** Of one handler. */
interface Tally {
  readonly counts: Record<Outcome["outcome"], number>;
  /** How many took at most so long as each bound, and longer than the one before; last those above all bounds. */
  readonly buckets: Float64Array;
  seconds: number;
}

/** Registers `eddy_events_total` and `eddy_handle_seconds`; gives what is to be called for each outcome. */
export function countOutcomes(registry: Registry, bounds: readonly number[]) {
  const tallies = new Map<string, Tally>();
  const events = new Counter({
    name: "eddy_events_total",
    help: "Events that have their outcome (handled, duplicate, filtered, expired, dead), by handler",
    labelNames: ["handler", "outcome"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [handler, { counts }] of tallies) {
        for (const outcome of outcomes) events.inc({ handler, outcome }, counts[outcome]);
      }
    },
  });
  const described = {
    name: "eddy_handle_seconds",
    help: "From an event's delivery to its outcome being stored, by handler",
  };
  const labels = { labelNames: ["handler"], buckets: [...bounds] };
  const handle = new Histogram({ ...described, ...labels, registers: [registry] });
  const get = async () => ({
    ...described,
    type: "histogram",
    aggregator: "sum",
    values: samplesOf(described.name, tallies, bounds),
  });
  Object.assign(handle, { get, getForPromString: get });

  return ({ handler, outcome, ms }: Outcome): void => {
    let tally = tallies.get(handler);
    if (tally === undefined) {
      const counts = { handled: 0, duplicate: 0, filtered: 0, expired: 0, dead: 0 };
      tally = { counts, buckets: new Float64Array(bounds.length + 1), seconds: 0 };
      tallies.set(handler, tally);
    }
    const seconds = ms / 1_000;
    let at = 0;
    while (at < bounds.length && seconds > (bounds[at] as number)) at++;
    tally.counts[outcome]++;
    tally.buckets[at] = (tally.buckets[at] as number) + 1;
    tally.seconds += seconds;
  };
}

function samplesOf(name: string, tallies: ReadonlyMap<string, Tally>, bounds: readonly number[]) {
  return [...tallies].flatMap(([handler, { buckets, seconds }]) => {
    let count = 0;
    const samples = [...buckets].map((here, at) => {
      count += here;
      const labels = { le: bounds[at] ?? "+Inf", handler };
      return { metricName: `${name}_bucket`, labels, value: count };
    });
    return [
      ...samples,
      { metricName: `${name}_sum`, labels: { handler }, value: seconds },
      { metricName: `${name}_count`, labels: { handler }, value: count },
    ];
  });
}
