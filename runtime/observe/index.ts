// Logs and metrics. Listens to facts that rooms report; imported by host, http and cli only.

export { logFacts } from "./facts-log.ts";
export { createLogger, type Logger, type LogOptions, type LogTarget } from "./logger.ts";
export { createMetrics, type Gauges, type HandlerGauges, type Metrics } from "./metrics.ts";
export { logModules, placeOf } from "./modules-log.ts";
export { counted, printable, printableLines } from "./printable.ts";
