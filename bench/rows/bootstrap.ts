// bootstrap: a node that comes to a long log of states begins with their compacted home; against `kv.watch` of a bucket
// that holds the same.
import { fill, measuredEvent, stateDataOf, stateType } from "../backlog.ts";
import type { Bench, Contest } from "../measure.ts";
import { atMost, atMostMore } from "../row.ts";
import type { Template } from "../stores.ts";
import type { BootstrapTask } from "../workers/bootstrap.ts";
import type { Workers } from "../workers.ts";

const keys = 1_000;

export function bootstrapContests(bench: Bench): Contest[] {
  const updates = bench.quick ? 4_000 : 1_000_000;
  const name = `bootstrap, ${counted(keys)} keys of ${counted(updates)} updates`;
  const ours = "runtime";
  return [
    {
      rows: [
        {
          ...{ name: `${name}: ready, against kv.watch`, ours, reference: "kv.watch" },
          ...{ measure: "readyMs", unit: "ms", goal: atMostMore(500) },
        },
        {
          ...{ name: `${name}: events folded`, ours, reference: keys },
          ...{ measure: "folded", unit: "events", goal: atMost(1) },
        },
      ],
      async measure(way) {
        await using server = await bench.stores.start(compacted(bench.workers, updates), "default");
        const task = taskFor(server.url, way as BootstrapTask["way"], updates);
        return await bench.workers.run<Record<string, number>>("bootstrap", task);
      },
    },
  ];
}

/** A log of updates that the compacted home has taken in, and a bucket with the last of each key. */
function compacted(workers: Workers, updates: number): Template {
  return {
    name: `compacted ${updates}`,
    async make({ url }) {
      await fill(url, updates, (n) => {
        return { ...measuredEvent(n, keys), type: stateType, data: stateDataOf(n, keys) };
      });
      await workers.run("bootstrap", taskFor(url, "compact", updates));
      await workers.run("bootstrap", taskFor(url, "put", updates));
    },
  };
}

function taskFor(url: string, way: BootstrapTask["way"], updates: number): BootstrapTask {
  return { url, way, updates, keys };
}

function counted(n: number): string {
  return n.toLocaleString("en-US");
}
