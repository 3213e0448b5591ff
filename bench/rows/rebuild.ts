// rebuild: a projection of 1,000 entries is folded anew, from the log.
import type { Bench, Contest } from "../measure.ts";
import { atLeast } from "../row.ts";
import { drain } from "./drain.ts";

export function rebuildContests(bench: Bench): Contest[] {
  return [
    {
      rows: [
        {
          name: "rebuild: against a loop by hand that reads and folds in memory",
          ours: "rebuild",
          reference: "fold-bare",
          measure: "rate",
          unit: "events/s",
          goal: atLeast(0.7),
        },
      ],
      measure: (worker, run) =>
        drain(bench, run, {
          worker,
          sync: "default",
          does: worker === "rebuild" ? "fold" : "nothing",
        }),
    },
  ];
}
