// After a run: what it was to store is there, once and right. A benchmark that skips work is a defect.
import { DeliverPolicy } from "@nats-io/jetstream";
import { connectBroker } from "../runtime/broker/index.ts";
import { home } from "./backlog.ts";

/** Each event below `events` has emitted exactly one. */
export async function assertEmittedOnce(url: string, events: number): Promise<void> {
  const seen = new Uint8Array(events);
  await readEach(url, home, "events.com.acme.noted.>", DeliverPolicy.All, (_, data) => {
    const { n } = data as { n: number };
    seen[n] = (seen[n] ?? 0) + 1;
  });
  const wrong = seen.findIndex((count) => count !== 1);
  if (wrong >= 0) throw new Error(`event ${wrong} has emitted ${seen[wrong]} times`);
}

/** The bucket holds the fold of all events below `events`, and nothing else. */
export async function assertFolded(url: string, events: number, keys: number): Promise<void> {
  const found = new Map<string, unknown>();
  await readEach(url, "KV_folded", "$KV.folded.>", DeliverPolicy.LastPerSubject, (subject, data) =>
    found.set(subject.slice("$KV.folded.".length), data),
  );
  for (let key = 0; key < Math.min(keys, events); key++) {
    const count = Math.ceil((events - key) / keys);
    const sum = count * key + (keys * count * (count - 1)) / 2;
    const [wants, has] = [JSON.stringify({ count, sum }), JSON.stringify(found.get(String(key)))];
    if (wants !== has) throw new Error(`entry ${key} is ${has}, and should be ${wants}`);
  }
  if (found.size !== Math.min(keys, events)) throw new Error(`${found.size} entries`);
}

async function readEach(
  url: string,
  stream: string,
  filter: string,
  policy: DeliverPolicy,
  onMessage: (subject: string, data: unknown) => void,
): Promise<void> {
  const broker = await connectBroker(
    { servers: [url], name: "verify", timeoutMs: 5_000 },
    { app: "verify", home },
  );
  const consumer = await broker.js.consumers.get(stream, {
    filter_subjects: filter,
    deliver_policy: policy,
  });
  if ((await consumer.info()).num_pending > 0) {
    await new Promise<void>((resolve, reject) => {
      const messages = consumer.consume({
        max_messages: 5_000,
        callback(message) {
          onMessage(message.subject, message.json());
          if (message.info.pending === 0) resolve();
        },
      });
      messages.catch(reject);
    });
  }
  await broker.close();
}
