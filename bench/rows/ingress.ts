// ingress: `POST /events`, stored and answered, over 64 connections; against a route that only parses and publishes.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backlogOf } from "../backlog.ts";
import type { Bench, Contest } from "../measure.ts";
import { atLeast } from "../row.ts";
import type { HttpLoadTask } from "../workers/http-load.ts";
import type { HttpTask } from "../workers/http-node.ts";
import { syncsOf } from "./drain.ts";

export function ingressContests(bench: Bench): Contest[] {
  return syncsOf(bench, "default").map((sync) => ({
    rows: [
      {
        name: `ingress POST /events, 64 connections, sync ${sync}: against hono and js.publish`,
        ours: "http-node",
        reference: "http-bare",
        measure: "rate",
        unit: "requests/s",
        goal: atLeast(1),
      },
    ],
    peers: true,
    async measure(way) {
      const none = backlogOf({ events: 0, keys: 1, types: 1 });
      await using server = await bench.stores.start(none, sync);
      const handlers = await mkdtemp(join(tmpdir(), "eddy-bench-"));
      const task: HttpTask = { url: server.url, handlers };
      await using http = await bench.workers.serve(way, task);
      const load: HttpLoadTask = {
        http: http.said,
        url: server.url,
        ...(bench.quick ? { warmUpSeconds: 0, seconds: 1 } : { warmUpSeconds: 2, seconds: 5 }),
      };
      const sample = await bench.workers.run<{ rate: number }>("http-load", load);
      await rm(handlers, { recursive: true });
      return sample;
    },
  }));
}
