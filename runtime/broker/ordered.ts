// Reading a stream in order without a trace on the server: an ordered consumer, started anew where it broke.
import type { ConsumerMessages, ConsumerNotification, JsMsg } from "./client.ts";
import type { Broker } from "./connect.ts";
import { streamInfo } from "./streams.ts";

export interface OrderedRead {
  readonly stream: string;
  readonly filter: string;
  readonly fromSeq: number;
  readonly onMessage: (message: JsMsg) => void;
  /** The read has ended by itself: the stream or its consumer is gone. */
  readonly onBroken: (why: string) => void;
}

/** Reads on and on. The client makes the consumer anew after lost heartbeats and reconnects, without gaps. */
export async function readOrdered(broker: Broker, read: OrderedRead): Promise<() => Promise<void>> {
  const consumer = await broker.js.consumers.get(read.stream, {
    filter_subjects: read.filter,
    opt_start_seq: Math.max(1, read.fromSeq),
    deliver_policy: "by_start_sequence",
    inactive_threshold: 30_000,
  });
  const messages = await consumer.consume({
    max_messages: 2_000,
    expires: 5_000,
    idle_heartbeat: 1_000,
    abort_on_missing_resource: true,
    callback: read.onMessage,
  });
  void watch(messages, read.onBroken);
  return async () => {
    await messages.close();
    await consumer.delete().catch(() => false); // gone with the connection or by its inactive threshold
  };
}

async function watch(messages: ConsumerMessages, onBroken: (why: string) => void): Promise<void> {
  const closed = messages.closed().then((error) => {
    if (error instanceof Error) onBroken(error.message);
  });
  for await (const status of messages.status()) {
    if (isMissing(status)) onBroken(status.type);
  }
  await closed;
}

/** Whether a notification says that what is read is not there any more. */
export function isMissing(status: ConsumerNotification): boolean {
  return (
    status.type === "stream_not_found" ||
    status.type === "consumer_not_found" ||
    status.type === "consumer_deleted" ||
    status.type === "no_responders"
  );
}

/** Reads what a subject filter holds now, oldest first, and ends. */
export async function readAll(
  broker: Broker,
  stream: string,
  filter: string,
  onMessage: (message: JsMsg) => void,
): Promise<void> {
  const info = await streamInfo(broker.jsm, stream, { subjects_filter: filter });
  if (Object.keys(info?.state.subjects ?? {}).length === 0) return;
  const consumer = await broker.js.consumers.get(stream, { filter_subjects: filter });
  const messages = await consumer
    .fetch({ max_messages: Number.MAX_SAFE_INTEGER, expires: 30_000 })
    .catch(() => undefined);
  if (messages === undefined) return;
  for await (const message of messages) {
    onMessage(message);
    if (message.info.pending === 0) break;
  }
  await consumer.delete().catch(() => false);
}
