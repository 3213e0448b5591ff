// The runtime drains a backlog: the pipeline as a node runs it, with a node's metrics and log listening.
// Measured from the handlers being handed over to the last event settled in its ledger. It fails where the ledgers do
// not count every event as handled, once.
import { Type } from "typebox";
import { type Declaration, event, on, projection } from "../../runtime/authoring/index.ts";
import type { Broker } from "../../runtime/broker/index.ts";
import { keyOf } from "../../runtime/events/index.ts";
import { createLogger, createMetrics, logFacts } from "../../runtime/observe/index.ts";
import {
  type Fact,
  type Pipeline,
  readHandlers,
  startPipeline,
} from "../../runtime/pipeline/index.ts";
import { openEntries } from "../../runtime/projections/index.ts";
import { homeMaxBytes, typeOf } from "../stores.ts";
import { countdown, type DrainTask, workOnDrain } from "./drain-task.ts";

const data = Type.Object({ n: Type.Integer(), pad: Type.String() });
const Noted = event("com.acme.noted", Type.Object({ n: Type.Integer() }));
const Folded = Type.Object({ count: Type.Integer(), sum: Type.Integer() });

await workOnDrain(async (broker, events, task, begin) => {
  const handled = events * (task.types === 1 ? task.handlers : 1);
  const { tick, over } = countdown(handled);
  const pipeline = await start(broker, tick);
  const end = await begin();
  await pipeline.apply(
    Array.from({ length: task.handlers }, (_, at) => ({
      name: task.does === "fold" ? "folded" : `handler${at}`,
      file: "bench",
      version: "0",
      declaration: declarationOf(task, at % task.types),
    })),
  );
  await over;
  await end();
  await pipeline.stop(10_000);
  await assertCounted(broker, handled);
  return handled;
});

function declarationOf({ does }: DrainTask, type: number): Declaration {
  const Measured = event(typeOf(type), data);
  switch (does) {
    case "nothing":
      return on(Measured, { start: "first" }, () => {});
    case "emit":
      return on(Measured, { start: "first", emits: [Noted] }, (e, ctx) =>
        ctx.emit(Noted, { n: e.data.n }),
      );
    case "fold":
      return projection("folded", {
        from: [Measured],
        key: keyOf,
        state: Folded,
        apply: (state, e) => ({
          count: (state?.count ?? 0) + 1,
          sum: (state?.sum ?? 0) + e.data.n,
        }),
      });
  }
}

function start(broker: Broker, onHandled: () => void): Promise<Pipeline> {
  const metrics = createMetrics(() => ({ handlers: [], identities: 0 }));
  const log = logFacts(createLogger({ level: "warn", format: "json" }, process.stderr), "debug");
  return startPipeline({
    broker,
    homeMaxBytes,
    defaults: {
      deadlineMs: 30_000,
      delaysMs: [1_000, 10_000, 60_000],
      jitter: 0.2,
      retentionMs: 7 * 86_400_000,
    },
    identityLimits: { countMax: 1_000_000, ageMs: 86_400_000 },
    openEntries: (declared) => openEntries(broker, declared),
    readEntry: async () => undefined,
    mapStack: (stack) => stack,
    report(fact: Fact) {
      metrics.report(fact);
      log(fact);
      if (fact.kind === "outcome" && fact.outcome === "handled") onHandled();
    },
  });
}

async function assertCounted(broker: Broker, events: number): Promise<void> {
  const rows = await readHandlers(broker);
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((n, r) => n + of(r), 0);
  const handled = sum((row) => row.handled);
  const other = sum((row) => row.duplicate + row.dead + row.expired + row.retrying);
  if (handled !== events || other !== 0) {
    throw new Error(`${handled} of ${events} events handled, ${other} otherwise`);
  }
}
