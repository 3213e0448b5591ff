// Projections: entries folded from events into KV buckets (written for the pipeline), and read by anybody.

export type { Entry } from "./entry.ts";
export type { Reach } from "./reach.ts";
export { findEntries, openProjectionReader, type ProjectionReader } from "./read.ts";
export type { Change, WatchOptions } from "./watch.ts";
export { openEntries } from "./write.ts";
