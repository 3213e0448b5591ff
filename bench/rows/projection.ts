// projection: events are folded into 1,000 entries of a KV bucket.
import type { Bench, Contest } from "../measure.ts";
import { atLeast } from "../row.ts";
import { drain, syncsOf } from "./drain.ts";
import { fewer } from "./emit.ts";

export function projectionContests(bench: Bench): Contest[] {
  return syncsOf(bench, "always").map((sync) => ({
    rows: [
      {
        name: `projection, sync ${sync}: against kv.put, 256 in flight`,
        ours: "runtime",
        reference: "idiomatic",
        measure: "rate",
        unit: "events/s",
        goal: atLeast(5),
      },
    ],
    measure: (worker, run) =>
      drain(bench, run, { worker, sync, does: "fold", ...fewer(bench, worker, sync) }),
  }));
}
