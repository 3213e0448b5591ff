// Tells requests that wait for an answer that the connection is gone, and the answer with it: waiting for their
// timeout instead would hold up every batch for seconds after each cut.
import type { Msg, NatsConnection, Payload, RequestOptions } from "./client.ts";

const waiting = new WeakMap<NatsConnection, Set<() => void>>();

/** A request that fails as soon as the connection is lost. */
export function answerTo(
  nc: NatsConnection,
  natsSubject: string,
  payload: Payload,
  options: RequestOptions,
): Promise<Msg> {
  return new Promise((resolve, reject) => {
    const lost = () => reject(new Error("the connection was lost before the answer"));
    const known = waiting.get(nc) ?? watch(nc);
    known.add(lost);
    nc.request(natsSubject, payload, options)
      .then(resolve, reject)
      .finally(() => known.delete(lost));
  });
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
