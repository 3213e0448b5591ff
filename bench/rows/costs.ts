// costs: what a `where` and the check of a schema take of the rate of a handler that does nothing.
import type { Bench, Contest } from "../measure.ts";
import { shownOnly } from "../row.ts";
import type { Does } from "../workers/drain-task.ts";
import { drain } from "./drain.ts";

export function costsContests(bench: Bench): Contest[] {
  const row = { measure: "rate", unit: "events/s", goal: shownOnly };
  return [
    {
      rows: [
        {
          ...row,
          name: "cost of where: three conditions that all events meet, against none",
          ...{ ours: "select", reference: "nothing" },
        },
        {
          ...row,
          name: "cost of validation: the schema checked, against one that takes anything",
          ...{ ours: "nothing", reference: "trust" },
        },
      ],
      measure: (does, run) =>
        drain(bench, run, { worker: "runtime", sync: "default", does: does as Does }),
    },
  ];
}
