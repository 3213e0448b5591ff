// Projections: entries folded from events into KV buckets (written for the pipeline), and read by anybody.

export type { Reach } from "./reach.ts";
export { type Change, type Entry, openProjectionReader, type ProjectionReader } from "./read.ts";
export { openEntries } from "./write.ts";
