// The runtime with its handler in a thread of its own, as `isolation: thread` in the configuration has it.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createThreads, watchModules } from "../../runtime/modules/index.ts";
import { typeOf } from "../backlog.ts";
import { drainWith } from "./runtime-drain.ts";

const source = `import { event, on, Type } from "eddyline";
const Measured = event("${typeOf(0)}", Type.Object({ n: Type.Integer(), pad: Type.String() }));
export const handler = on(Measured, { start: "first" }, () => {});
`;
const isolated = { isolation: "thread", memoryBytes: 64 * 2 ** 20 } as const;

await drainWith(async () => {
  const folder = await mkdtemp(join(tmpdir(), "eddy-bench-"));
  await writeFile(join(folder, "measured.ts"), source);
  const watch = await watchModules({
    folder,
    threads: createThreads({ measured: isolated }, () => {}),
    onHandlers() {},
    onReport(report) {
      if (report.kind === "failed") throw new Error(JSON.stringify(report));
    },
  });
  await watch.close(); // the thread lives on
  await rm(folder, { recursive: true });
  return watch.handlers();
});
