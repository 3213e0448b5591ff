// latency: from the moment when an event was to be published to the arrival of the one that was emitted for it.
import { backlogOf } from "../backlog.ts";
import type { Bench, Contest } from "../measure.ts";
import { atMost, type RowSpec, shownOnly } from "../row.ts";
import type { Sync } from "../server.ts";
import type { LoadResult, LoadTask } from "../workers/load.ts";
import type { RelayTask } from "../workers/relay.ts";
import { syncsOf } from "./drain.ts";

const rates = [500, 5_000] as const;

export function latencyContests(bench: Bench): Contest[] {
  return syncsOf(bench, "always").map((sync) => ({
    rows: rates.flatMap((rate) => ["p50", "p99"].map((quantile) => row(sync, rate, quantile))),
    async measure(way) {
      const none = backlogOf({ events: 0, keys: 1, types: 1 });
      await using server = await bench.stores.start(none, sync);
      const relay = { url: server.url, way: way as RelayTask["way"] } satisfies RelayTask;
      await using _relaying = await bench.workers.serve("relay", relay);
      const load: LoadTask = {
        url: server.url,
        warmUpEvents: bench.warmUp,
        rates,
        seconds: bench.quick ? 0.1 : 5,
      };
      const result = await bench.workers.run<LoadResult>("load", load);
      // The loop may lose and repeat: it has nothing against it.
      if (way === "runtime" && (result.missing !== 0 || result.repeated !== 0)) {
        throw new Error(`${result.missing} events are missing, ${result.repeated} came again`);
      }
      return result;
    },
  }));
}

function row(sync: Sync, rate: number, quantile: string): RowSpec {
  return {
    name: `latency ${quantile} at ${rate}/s, sync ${sync}: against js.publish`,
    ours: "runtime",
    reference: "idiomatic",
    measure: `${quantile}At${rate}`,
    unit: "ms",
    goal: rate === 500 ? atMost(1.5) : sync === "always" ? atMost(1) : shownOnly,
  };
}
