// A node rebuilds a projection that has folded the backlog before. Measured from the request to the last event folded anew:
// what follows is a difference, of which there is none.
import { readHandlers } from "../../runtime/pipeline/index.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { workOnDrain } from "./drain-task.ts";
import { declarationOf, startNodePipeline } from "./node-pipeline.ts";

await workOnDrain(async (broker, events, _, begin) => {
  const pipeline = await startNodePipeline(broker, () => {});
  const declaration = declarationOf("fold", 0);
  await pipeline.apply([{ name: "folded", file: "bench", version: "0", declaration }]);
  await eventually(
    async () => {
      const [row] = await readHandlers(broker);
      if (row?.handled !== events || row.lag > 0) throw new Error(JSON.stringify(row));
      return true;
    },
    { timeoutMs: 300_000, what: "that the backlog is folded" },
  );
  const end = await begin();
  let ended: Promise<void> | undefined;
  const rebuilt = await pipeline.rebuild("folded", {
    onProgress(progress) {
      if (progress.events === events) ended ??= end();
    },
  });
  await ended;
  await pipeline.stop(10_000);
  if (ended === undefined || rebuilt.events !== events || rebuilt.changed !== 0)
    throw new Error(`${events} events are to be folded: ${JSON.stringify(rebuilt)}`);
  return events;
});
