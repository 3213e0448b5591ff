// The pipeline as a node runs it, with the node's metrics and log listening, and the defaults of the configuration.

import { Type } from "typebox";
import {
  type Declaration,
  type EventType,
  event,
  on,
  projection,
  type WhereOf,
} from "../../runtime/authoring/index.ts";
import type { Broker } from "../../runtime/broker/index.ts";
import { keyOf } from "../../runtime/events/index.ts";
import { loadConfig } from "../../runtime/host/index.ts";
import { createLogger, createMetrics, logFacts } from "../../runtime/observe/index.ts";
import { type Pipeline, type Report, startPipeline } from "../../runtime/pipeline/index.ts";
import { openEntries } from "../../runtime/projections/index.ts";
import { homeMaxBytes, typeOf } from "../backlog.ts";
import type { Does } from "./drain-task.ts";

export function startNodePipeline(broker: Broker, onFact: Report): Promise<Pipeline> {
  const metrics = createMetrics(() => ({ handlers: [], identities: 0, identitiesLeft: 0 }));
  const log = logFacts(createLogger({ level: "warn", format: "json" }, process.stderr), "debug");
  const config = loadConfig({ env: {} });
  return startPipeline({
    broker,
    homeMaxBytes,
    defaults: {
      deadlineMs: config.deadlineMs,
      delaysMs: config.retry.delaysMs,
      jitter: config.retry.jitter,
      deathsMax: config.crashes.deaths,
      retentionMs: config.home.retentionMs,
      tombstoneMs: config.state.tombstonesMs,
    },
    identityLimits: { countMax: config.identities.count, ageMs: config.identities.ageMs },
    openEntries: (declared) => openEntries(broker, declared, () => {}),
    readEntry: async () => ({ value: undefined }),
    findEntries: async () => ({ entries: [] }),
    mapStack: (stack) => stack,
    report(fact) {
      metrics.report(fact);
      log(fact);
      onFact(fact);
    },
  });
}

const data = Type.Object({ n: Type.Integer(), pad: Type.String() });
const Noted = event("com.acme.noted", Type.Object({ n: Type.Integer() }));
const all = {
  source: ["/bench"],
  data: { n: [{ numeric: [">=", 0] }], pad: [{ exists: true }] },
} as const satisfies WhereOf<EventType<string, typeof data>>;
const Folded = Type.Object({ count: Type.Integer(), sum: Type.Integer() });

export function declarationOf(does: Does, type: number): Declaration {
  const Measured = event(typeOf(type), data);
  switch (does) {
    case "nothing":
      return on(Measured, { start: "first" }, () => {});
    case "select":
      return on(Measured, { start: "first", where: all }, () => {});
    case "trust":
      return on(event(typeOf(type), Type.Unknown()), { start: "first" }, () => {});
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
