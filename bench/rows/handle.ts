// handle: decode, dedupe, handler, ledger, settle; against loops that only parse and ack.
import type { Bench, Contest } from "../measure.ts";
import { atLeast, type Goal, type RowSpec, shownOnly } from "../row.ts";
import type { Sync } from "../server.ts";
import { drain, syncsOf } from "./drain.ts";

export function handleContests(bench: Bench): Contest[] {
  return syncsOf(bench, "default").map((sync) => ({
    rows: [
      row(sync, "for await, JSON.parse, ack", "idiomatic", atLeast(2)),
      row(sync, "the fastest loop by hand", "by-hand", atLeast(0.7)),
      ...(sync === "default" ? [inThread] : []),
    ],
    measure: (worker, run) => drain(bench, run, { worker, sync, does: "nothing" }),
  }));
}

function row(sync: Sync, against: string, reference: string, goal: Goal) {
  const name = `handle, sync ${sync}: against ${against}`;
  return { name, ours: "runtime", reference, measure: "rate", unit: "events/s", goal };
}

/** What `isolation: thread` costs. */
const inThread: RowSpec = {
  ...{ name: "handle in a thread: against in-line", ours: "thread", reference: "runtime" },
  ...{ measure: "rate", unit: "events/s", goal: shownOnly },
};
