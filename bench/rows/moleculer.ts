// moleculer: the same backlog, drained by @moleculer/channels with its NATS adapter, which bounds what is in flight.
import type { Bench, Contest } from "../measure.ts";
import { atLeast, atMost } from "../row.ts";
import { drain } from "./drain.ts";

const widths = [100, 1_000] as const;

export function moleculerContests(bench: Bench): Contest[] {
  return [
    {
      rows: widths.flatMap((width) => {
        const name = `moleculer channels, ${width} in flight`;
        const ways = { ours: "runtime", reference: String(width) };
        return [
          { name, ...ways, measure: "rate", unit: "events/s", goal: atLeast(2) },
          { name: `${name}: CPU`, ...ways, measure: "cpuUs", unit: "µs/event", goal: atMost(0.5) },
        ];
      }),
      peers: true,
      measure: (way, run) =>
        way === "runtime"
          ? drain(bench, run, { worker: "runtime", sync: "default", does: "nothing" })
          : drain(bench, run, {
              worker: "moleculer",
              sync: "default",
              does: "nothing",
              inFlight: Number(way),
            }),
    },
  ];
}
