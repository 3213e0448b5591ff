// The runtime drains a backlog. Measured from the handlers being handed over to the last event settled in its ledger.
// It fails where the ledgers do not count every event as handled, once.
import type { Broker } from "../../runtime/broker/index.ts";
import { readHandlers } from "../../runtime/pipeline/index.ts";
import { countdown, workOnDrain } from "./drain-task.ts";
import { declarationOf, startNodePipeline } from "./node-pipeline.ts";

await workOnDrain(async (broker, events, task, begin) => {
  const handled = events * (task.types === 1 ? task.handlers : 1);
  const { tick, over } = countdown(handled);
  const pipeline = await startNodePipeline(broker, (fact) => {
    if (fact.kind === "outcome" && fact.outcome === "handled") tick();
  });
  const end = await begin();
  await pipeline.apply(
    Array.from({ length: task.handlers }, (_, at) => ({
      name: task.does === "fold" ? "folded" : `handler${at}`,
      file: "bench",
      version: "0",
      declaration: declarationOf(task.does, at % task.types),
    })),
  );
  await over;
  await end();
  await pipeline.stop(10_000);
  await assertCounted(broker, handled);
  return handled;
});

async function assertCounted(broker: Broker, events: number): Promise<void> {
  const rows = await readHandlers(broker);
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((n, r) => n + of(r), 0);
  const handled = sum((row) => row.handled);
  const other = sum((row) => row.duplicate + row.dead + row.expired + row.retrying);
  if (handled !== events || other !== 0) {
    throw new Error(`${handled} of ${events} events handled, ${other} otherwise`);
  }
}
