// The idiomatic loop drains a backlog. Measured from the making of its consumer to the last ack.
import { type KV, Kvm } from "@nats-io/kv";
import type { Broker } from "../../runtime/broker/index.ts";
import { countdown, type DrainTask, workOnDrain } from "./drain-task.ts";
import { idiomaticLoop, keyOf, publishing, type Store } from "./idiomatic-loop.ts";

await workOnDrain(async (broker, events, task, begin) => {
  const store = await storeOf(task, broker);
  const { tick, over } = countdown(events);
  const end = await begin();
  await idiomaticLoop(broker, task.run, events, store, tick);
  await over;
  await broker.nc.flush(); // the acks
  await end();
  return events;
});

async function storeOf({ does }: DrainTask, broker: Broker): Promise<Store | undefined> {
  switch (does) {
    case "nothing":
      return undefined;
    case "emit":
      return publishing(broker);
    case "fold":
      return folding(await new Kvm(broker.nc).create("folded"));
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
