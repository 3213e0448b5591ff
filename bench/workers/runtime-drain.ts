// The runtime drains a backlog. Measured from the handlers being handed over to the last event settled in its ledger.
// It fails where the ledgers do not count every event as handled, once.
import type { Handler } from "../../runtime/authoring/index.ts";
import type { Broker } from "../../runtime/broker/index.ts";
import { readHandlers } from "../../runtime/pipeline/index.ts";
import { countdown, type DrainTask, workOnDrain } from "./drain-task.ts";
import { startNodePipeline } from "./node-pipeline.ts";

export async function drainWith(
  handlersOf: (task: DrainTask) => readonly Handler[] | Promise<readonly Handler[]>,
): Promise<never> {
  return await workOnDrain(async (broker, events, task, begin) => {
    const handled = events * (task.types === 1 ? task.handlers : 1);
    const handlers = await handlersOf(task);
    const { tick, over } = countdown(handled);
    const pipeline = await startNodePipeline(broker, (fact) => {
      if (fact.kind === "outcome" && fact.outcome === "handled") tick();
    });
    const before = await countsOf(broker);
    const end = await begin();
    await pipeline.apply(handlers);
    await over;
    await end();
    await pipeline.stop(10_000);
    const after = await countsOf(broker);
    if (after.handled - before.handled !== handled || after.other !== 0) {
      throw new Error(`${handled} events are to be handled; counts are ${JSON.stringify(after)}`);
    }
    return handled;
  });
}

async function countsOf(broker: Broker) {
  const rows = await readHandlers(broker);
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((n, r) => n + of(r), 0);
  return {
    handled: sum((row) => row.handled),
    other: sum((row) => row.duplicate + row.filtered + row.dead + row.expired + row.retrying),
  };
}
