// Tells requests that wait for an answer that the connection is gone, and the answer with it: waiting for their
// timeout instead would hold up every batch for seconds after each cut.
import type { NatsConnection } from "./client.ts";

const waiting = new WeakMap<NatsConnection, Set<() => void>>();

/** Calls back once if the connection is lost; returns what lets go. */
export function onLoss(nc: NatsConnection, lost: () => void): () => void {
  const known = waiting.get(nc) ?? watch(nc);
  known.add(lost);
  return () => known.delete(lost);
}

function watch(nc: NatsConnection): Set<() => void> {
  const listeners = new Set<() => void>();
  waiting.set(nc, listeners);
  void (async () => {
    for await (const status of nc.status()) {
      // What was sent between the two may be lost as well.
      if (status.type !== "disconnect" && status.type !== "reconnect") continue;
      const all = [...listeners];
      listeners.clear();
      for (const lost of all) lost();
    }
  })();
  return listeners;
}
