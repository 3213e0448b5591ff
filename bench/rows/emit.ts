// emit: each event is handled and emits one, which is stored before the event counts as settled.
import type { Bench, Contest } from "../measure.ts";
import { atLeast, type Goal, shownOnly } from "../row.ts";
import type { Sync } from "../server.ts";
import { drain, syncsOf } from "./drain.ts";

export function emitContests(bench: Bench): Contest[] {
  return syncsOf(bench, "always").map((sync) => ({
    rows: [
      row(sync, "js.publish, 256 in flight", "idiomatic", atLeast(sync === "always" ? 8 : 2)),
      row(sync, "raw publishes, 4,096 in flight", "by-hand", atLeast(sync === "always" ? 8 : 0.6)),
      row(sync, "the server alone, batches of 900", "batches", shownOnly),
    ],
    measure: (worker, run) =>
      drain(bench, run, { worker, sync, does: "emit", ...fewer(bench, worker, sync) }),
  }));
}

/** With a disk write for each publish a loop takes its time; its rate is the same over a part of the backlog. */
export function fewer({ quick }: Bench, worker: string, sync: Sync): { events?: number } {
  const slow = sync === "always" && (worker === "idiomatic" || worker === "by-hand");
  if (!slow) return {};
  return { events: quick ? 600 : 25_000 };
}

function row(sync: Sync, against: string, reference: string, goal: Goal) {
  const name = `emit, sync ${sync}: against ${against}`;
  return { name, ours: "runtime", reference, measure: "rate", unit: "events/s", goal };
}
