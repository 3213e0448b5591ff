// The loop that reads a stream and folds it in memory, written by hand: the client's callback without acks, JSON.parse, a Map. It
// knows no schema, no repeat, no letter, and stores nothing.
import { home } from "../backlog.ts";
import { countdown, workOnDrain } from "./drain-task.ts";

await workOnDrain(async (broker, events, _, begin) => {
  const { tick, over } = countdown(events);
  const states = new Map<string, { count: number; sum: number }>();
  const consumer = await broker.js.consumers.get(home, {
    filter_subjects: "events.com.acme.measured.>",
    deliver_policy: "all",
  });
  const end = await begin();
  const messages = await consumer.consume({
    max_messages: 2_000,
    callback(message) {
      const { n } = JSON.parse(message.string()) as { n: number };
      const key = message.subject.slice(message.subject.lastIndexOf(".") + 1);
      const { count, sum } = states.get(key) ?? { count: 0, sum: 0 };
      states.set(key, { count: count + 1, sum: sum + n });
      tick();
    },
  });
  await over;
  await end();
  messages.stop();
  const folded = [...states.values()].reduce((all, { count }) => all + count, 0);
  if (folded !== events) throw new Error(`${folded} of ${events} events were folded`);
  return events;
});
