// The server alone: the messages that a reaction would emit, made beforehand, in atomic batches of 900, one after the
// other. Nothing is read, handled or recorded: no way of storing them in batches is faster.
import { connectBroker, storeBatch } from "../../runtime/broker/index.ts";
import { encodeMessage, eventSubject } from "../../runtime/events/index.ts";
import { home } from "../stores.ts";
import { type DrainResult, type DrainTask, settling } from "./drain-task.ts";
import { beginSpan, work } from "./task.ts";

const perBatch = 900;

await work<DrainTask>(async (task) => {
  const broker = await connectBroker(
    { servers: [task.url], name: task.run, timeoutMs: 5_000 },
    { app: task.run, home },
  );
  const messages = Array.from({ length: task.events }, (_, n) => emitted(n));
  const { settle, steadyMs } = settling(task.events);
  const end = await beginSpan();
  for (let from = 0; from < task.events; from += perBatch) {
    const stored = await storeBatch(broker.nc, messages.slice(from, from + perBatch), 10_000);
    if (stored.kind !== "stored") throw new Error(`a batch was not stored: ${stored.kind}`);
    settle();
  }
  const steady = steadyMs();
  const span = await end();
  await broker.close();
  return { ...span, handled: task.events, steadyMs: steady } satisfies DrainResult;
});

function emitted(n: number) {
  const key = String(n % 1_000);
  const event = {
    specversion: "1.0" as const,
    id: `0123456789abcdef0123456-${n}`,
    source: "/bench/handler0",
    type: "com.acme.noted",
    subject: key,
    time: "2026-01-01T00:00:00.000Z",
    datacontenttype: "application/json",
    extensions: { causationid: String(n), correlationid: String(n) },
    data: { n },
  };
  return { natsSubject: eventSubject(event.type, key), ...encodeMessage(event) };
}
