// How much all readers of a connection may have on its way to them. A server that has to keep more than it likes for a
// client (64 MB by default) cuts the connection, and whatever is on its way lies in memory.
// F1 Shared evenly, whatever the events' size. F2 Nobody gets so little that it stands still.
import type { NatsConnection } from "./client.ts";

const connectionBytes = 24 * 1024 * 1024; // well below the server's limit: answers and other reads need room too
const shareBytes = { least: 64 * 1024, most: 4 * 1024 * 1024 };
const readers = new WeakMap<NatsConnection, number>();

/** Joins the readers of a connection; leave it with the function that is returned. */
export function joinReaders(nc: NatsConnection): () => void {
  readers.set(nc, (readers.get(nc) ?? 0) + 1);
  return () => readers.set(nc, (readers.get(nc) ?? 1) - 1);
}

/** How many bytes each reader may have asked for. */
export function shareOf(nc: NatsConnection): number {
  const even = Math.floor(connectionBytes / Math.max(1, readers.get(nc) ?? 1));
  return Math.min(Math.max(even, shareBytes.least), shareBytes.most);
}
