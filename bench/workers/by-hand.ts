// The fastest loop that we can write by hand: the client's callback, JSON.parse, an ack for each message. What it
// emits are raw publishes, whose answers come to an inbox of its own; 4,096 in flight. No dedupe, no ledger.
import { AckPolicy } from "@nats-io/jetstream";
import { type Broker, createInbox, type JsMsg } from "../../runtime/broker/index.ts";
import { home } from "../backlog.ts";
import { countdown, workOnDrain } from "./drain-task.ts";

const inFlightMax = 4_096;

await workOnDrain(async (broker, events, task, begin) => {
  const { tick, over } = countdown(events);
  const emit = task.does === "emit" ? emitter(broker, tick) : undefined;
  const end = await begin();
  await broker.jsm.consumers.add(home, {
    durable_name: task.run,
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 100_000,
    filter_subject: "events.com.acme.measured.>",
  });
  const consumer = await broker.js.consumers.get(home, task.run);
  let seen = 0;
  const messages = await consumer.consume({
    max_messages: 2_000,
    callback(message) {
      if (++seen > events) return;
      const { n } = JSON.parse(message.string()) as { n: number };
      if (emit !== undefined) return emit(message, n);
      message.ack();
      tick();
    },
  });
  await over;
  messages.stop();
  await broker.nc.flush(); // the acks
  await end();
  return events;
});

function emitter({ nc }: Broker, onStored: () => void): (message: JsMsg, n: number) => void {
  const inbox = createInbox();
  const slots = new Map<string, JsMsg>(); // causes of what is in flight
  const waiting: { message: JsMsg; n: number }[] = [];
  let head = 0;
  let count = 0;

  nc.subscribe(`${inbox}.*`, {
    callback(error, reply) {
      const slot = reply.subject.slice(inbox.length + 1);
      const cause = slots.get(slot);
      if (error !== null || cause === undefined) throw error ?? new Error(`a stray answer ${slot}`);
      const { seq } = JSON.parse(reply.string()) as { seq?: number };
      if (seq === undefined) throw new Error(`refused: ${reply.string()}`);
      slots.delete(slot);
      cause.ack();
      onStored();
      const next = waiting[head];
      if (next !== undefined) {
        head++;
        publish(next.message, next.n);
      }
    },
  });

  function publish(message: JsMsg, n: number): void {
    const slot = (count++).toString(36);
    slots.set(slot, message);
    const key = message.subject.slice(message.subject.lastIndexOf(".") + 1);
    nc.publish(`events.com.acme.noted.${key}`, JSON.stringify({ n }), {
      reply: `${inbox}.${slot}`,
    });
  }

  return (message, n) => {
    if (slots.size < inFlightMax) publish(message, n);
    else waiting.push({ message, n });
  };
}
