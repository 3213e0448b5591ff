// reads: 64 readers of a projection's 10,000 entries, through `ctx.get`, against `kv.get` of the client.

import { entriesTemplate } from "../entries.ts";
import type { Bench, Contest } from "../measure.ts";
import { atLeast } from "../row.ts";
import type { ReadsTask } from "../workers/reads.ts";

const readers = 64;

export function readsContests(bench: Bench): Contest[] {
  const row = { reference: "kv.get", measure: "rate", unit: "reads/s" };
  const entries = bench.quick ? 1_000 : 10_000;
  return [
    {
      rows: [
        { ...row, name: "reads, local: against kv.get", ours: "local", goal: atLeast(100) },
        { ...row, name: "reads, bucket: against kv.get", ours: "bucket", goal: atLeast(3) },
      ],
      async measure(way) {
        await using server = await bench.stores.start(entriesTemplate(entries), "default");
        const reads = (way === "local" ? 20 : 1) * (bench.quick ? 2_000 : 100_000);
        const warmUp = bench.quick ? 0 : reads / 4;
        const task: ReadsTask = { url: server.url, way, entries, readers, reads, warmUp };
        return await bench.workers.run<Record<string, number>>("reads", task);
      },
    },
  ];
}
