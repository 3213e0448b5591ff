// What waits for something from the connection hears that it is gone: to wait for a timeout instead would hold up every
// batch for seconds after each cut.
import type { Msg, NatsConnection, Payload, RequestOptions } from "./client.ts";

type Loss = "disconnect" | "reconnect";
type Listener = (loss: Loss) => void;

const listening = new WeakMap<NatsConnection, Set<Listener>>();

/** A request that fails as soon as the connection is lost. */
export function answerTo(
  nc: NatsConnection,
  natsSubject: string,
  payload: Payload,
  options: RequestOptions,
): Promise<Msg> {
  return new Promise((resolve, reject) => {
    // What was sent between the two may be lost as well.
    const unwatch = onLoss(nc, () => {
      unwatch();
      reject(new Error("the connection was lost before the answer"));
    });
    nc.request(natsSubject, payload, options).then(resolve, reject).finally(unwatch);
  });
}

/** Tells when the connection is cut, and when it is back. Returns what ends it. */
export function onLoss(nc: NatsConnection, listener: Listener): () => void {
  const known = listening.get(nc) ?? watch(nc);
  known.add(listener);
  return () => known.delete(listener);
}

function watch(nc: NatsConnection): Set<Listener> {
  const listeners = new Set<Listener>();
  listening.set(nc, listeners);
  void (async () => {
    for await (const { type } of nc.status()) {
      if (type !== "disconnect" && type !== "reconnect") continue;
      for (const listener of [...listeners]) listener(type);
    }
  })();
  return listeners;
}
