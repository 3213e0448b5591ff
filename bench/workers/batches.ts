// The server alone: the messages that a reaction would emit, made beforehand, in atomic batches of 900, one after the
// other. Nothing is read, handled or recorded: no way of storing them in batches is faster.
import { storeBatch } from "../../runtime/broker/index.ts";
import { encodeMessage, eventSubject } from "../../runtime/events/index.ts";
import { workOnDrain } from "./drain-task.ts";

const perBatch = 900;

await workOnDrain(async (broker, events, _, begin) => {
  const messages = Array.from({ length: events }, (_, n) => emitted(n));
  const end = await begin();
  for (let from = 0; from < events; from += perBatch) {
    const stored = await storeBatch(broker.nc, messages.slice(from, from + perBatch), 10_000);
    if (stored.kind !== "stored") throw new Error(`a batch was not stored: ${stored.kind}`);
  }
  await end();
  return events;
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
