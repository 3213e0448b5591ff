// Saves a handler module again and again in a folder that is watched, and takes the time from each save to the moment
// when the pipeline runs the new version.
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectBroker } from "../../runtime/broker/index.ts";
import { watchModules } from "../../runtime/modules/index.ts";
import { home } from "../backlog.ts";
import { startNodePipeline } from "./node-pipeline.ts";
import { work } from "./task.ts";

export interface ReloadTask {
  readonly url: string;
  readonly saves: number;
}

const warmUp = 5;

await work<ReloadTask>(async ({ url, saves }) => {
  const broker = await connectBroker(
    { servers: [url], name: "reload", timeoutMs: 5_000 },
    { app: "reload", home },
  );
  const pipeline = await startNodePipeline(broker, () => {});
  const root = await mkdtemp(join(tmpdir(), "eddy-bench-"));
  const folder = join(root, "handlers");
  await mkdir(folder);
  await save(0);
  let live = (_version: string) => {};
  const watch = await watchModules({
    folder,
    async onHandlers(handlers) {
      await pipeline.apply(handlers);
      live(handlers[0]?.version ?? "");
    },
    onReport(report) {
      if (report.kind === "failed") throw new Error(JSON.stringify(report));
    },
  });

  async function save(n: number): Promise<void> {
    const aside = join(root, "aside.ts");
    const source = `import { event, on, Type } from "eddyline";
const Measured = event("com.acme.measured.t0", Type.Object({ n: Type.Integer() }));
export const handler = on(Measured, (e) => void [e.data.n, ${n}]);
`;
    await writeFile(aside, source);
    await rename(aside, join(folder, "handler.ts"));
  }

  const took: number[] = [];
  const versions = new Set<string>();
  for (let n = 1; n <= saves + warmUp; n++) {
    const swapped = new Promise<string>((resolve) => {
      live = resolve;
    });
    await save(n);
    const began = performance.now();
    versions.add(await swapped);
    if (n > warmUp) took.push(performance.now() - began);
  }
  if (versions.size !== saves + warmUp) throw new Error(`${versions.size} versions were live`);
  await watch.close();
  await pipeline.stop(5_000);
  await broker.close();
  await rm(root, { recursive: true });
  const sorted = took.toSorted((a, b) => a - b);
  return { p95Ms: sorted[Math.floor(sorted.length * 0.95)] ?? Number.NaN };
});
