// The loop that the client's documentation shows: `for await`, JSON.parse, `ack()`; what it stores goes through the
// client's own `js.publish` and `kv.put`, 256 in flight. It has no dedupe, no retries, no record of what is done.
import { AckPolicy } from "@nats-io/jetstream";
import type { Broker, JsMsg } from "../../runtime/broker/index.ts";
import { home } from "../backlog.ts";

/** Stores the effect of one event. */
export type Store = (message: JsMsg, n: number) => Promise<unknown>;

const inFlightMax = 256;

/** Handles so many events; resolves when the last of them is seen, not yet stored. */
export async function idiomaticLoop(
  broker: Broker,
  durable: string,
  events: number,
  store: Store | undefined,
  onDone: () => void,
): Promise<void> {
  await broker.jsm.consumers.add(home, {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 20_000,
    filter_subject: "events.com.acme.measured.>",
  });
  const consumer = await broker.js.consumers.get(home, durable);
  const inFlight = new Set<Promise<void>>();
  let seen = 0;
  for await (const message of await consumer.consume({ max_messages: 2_000 })) {
    const data = JSON.parse(message.string()) as { n: number };
    if (store === undefined) {
      message.ack();
      onDone();
    } else {
      const stored: Promise<void> = store(message, data.n)
        .then(
          () => {
            message.ack();
            onDone();
          },
          () => message.nak(), // it comes again, and its effect with it
        )
        .finally(() => inFlight.delete(stored));
      inFlight.add(stored);
      if (inFlight.size >= inFlightMax) await Promise.race(inFlight);
    }
    if (++seen >= events) return;
  }
}

export function publishing({ js }: Broker): Store {
  return (message, n) =>
    js.publish(`events.com.acme.noted.${keyOf(message)}`, JSON.stringify({ n }));
}

export function keyOf({ subject }: JsMsg): string {
  return subject.slice(subject.lastIndexOf(".") + 1);
}
