// The host: its configuration, and a whole node put together from all rooms, started, drained and stopped.
export type { Node, NodeOptions } from "./assembly.ts";
export { type Config, ConfigError, configWarnings, loadConfig } from "./config.ts";
export { startNode, startPipelineAlone } from "./start.ts";
