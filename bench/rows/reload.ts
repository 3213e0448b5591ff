// reload: from a saved file to the new code being live, and what a thousand reloads leave in memory.
import { resolve } from "node:path";
import { backlogOf } from "../backlog.ts";
import type { Bench, Contest } from "../measure.ts";
import { atMost } from "../row.ts";
import type { ReloadTask } from "../workers/reload.ts";
import { outputOf } from "../workers.ts";

const p95MsMax = 150;
const growthMbMax = 10;
const reloadsScript = resolve(import.meta.dirname, "../../runtime/modules/support/reloads.ts");

export function reloadContests(bench: Bench): Contest[] {
  const reloads = bench.quick ? 30 : 1_000;
  return [
    {
      rows: [
        {
          name: "reload, saved file to new code live: p95",
          ours: "runtime",
          reference: p95MsMax,
          measure: "p95Ms",
          unit: "ms",
          goal: atMost(1),
        },
      ],
      async measure() {
        const none = backlogOf({ events: 0, keys: 1, types: 1 });
        await using server = await bench.stores.start(none, "default");
        const task: ReloadTask = { url: server.url, saves: bench.quick ? 10 : 200 };
        return await bench.workers.run<{ p95Ms: number }>("reload", task);
      },
    },
    {
      rows: [
        {
          name: `reload, ${reloads.toLocaleString("en-US")} times: growth`,
          ours: "runtime",
          reference: growthMbMax,
          measure: "growthMb",
          unit: "MB",
          goal: atMost(1),
        },
      ],
      async measure() {
        const nodeFlags = ["--expose-gc", "--import", "tsx"];
        const args = [String(reloads)];
        const output = await outputOf({ file: reloadsScript, args, nodeFlags });
        const { growthBytes } = JSON.parse(output.trim().split("\n").at(-1) ?? "");
        return { growthMb: growthBytes / 1e6 };
      },
    },
  ];
}
