// The loop that the client's documentation shows: `for await`, JSON.parse, `ack()`; what it stores goes through the
// client's own `js.publish` and `kv.put`, 256 in flight. It has no dedupe, no retries, no record of what is done.
import { AckPolicy } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import type { Broker, JsMsg } from "../../runtime/broker/index.ts";
import { home } from "../backlog.ts";
import { countdown, type DrainTask, workOnDrain } from "./drain-task.ts";

const inFlightMax = 256;

await workOnDrain(async (broker, events, task, begin) => {
  const store = await storeOf(task, broker);
  const { tick, over } = countdown(events);
  const end = await begin();
  await broker.jsm.consumers.add(home, {
    durable_name: task.run,
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 20_000,
    filter_subject: "events.com.acme.measured.>",
  });
  const consumer = await broker.js.consumers.get(home, task.run);
  const inFlight = new Set<Promise<void>>();
  let seen = 0;
  for await (const message of await consumer.consume({ max_messages: 2_000 })) {
    const data = JSON.parse(message.string()) as { n: number };
    if (store === undefined) {
      message.ack();
      tick();
    } else {
      const stored: Promise<void> = store(message, data.n).then(() => {
        message.ack();
        inFlight.delete(stored);
        tick();
      });
      inFlight.add(stored);
      if (inFlight.size >= inFlightMax) await Promise.race(inFlight);
    }
    if (++seen === events) break;
  }
  await over;
  await broker.nc.flush(); // the acks
  await end();
  return seen;
});

type Store = (message: JsMsg, n: number) => Promise<unknown>;

async function storeOf({ does }: DrainTask, { js, nc }: Broker): Promise<Store | undefined> {
  switch (does) {
    case "nothing":
      return undefined;
    case "emit":
      return (message, n) =>
        js.publish(`events.com.acme.noted.${keyOf(message)}`, JSON.stringify({ n }));
    case "fold":
      return folding(await new Kvm(nc).create("folded"));
  }
}

/** States are kept in memory: reading each entry before it is written would take it as long again. */
function folding(kv: KV): Store {
  const states = new Map<string, { count: number; sum: number }>();
  return (message, n) => {
    const key = keyOf(message);
    const before = states.get(key) ?? { count: 0, sum: 0 };
    const state = { count: before.count + 1, sum: before.sum + n };
    states.set(key, state);
    return kv.put(key, JSON.stringify(state));
  };
}

function keyOf({ subject }: JsMsg): string {
  return subject.slice(subject.lastIndexOf(".") + 1);
}
