// Reading a stream in order without a trace on the server: an ordered consumer, started anew where it broke.
import {
  type ConsumerMessages,
  type ConsumerNotification,
  JetStreamError,
  type JsMsg,
} from "./client.ts";
import type { Broker } from "./connect.ts";

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

const batchMessages = 1_000; // the server gives at most 1,024 at once
const notFound = 404;

/** Reads what a subject filter holds now, oldest first, and ends. */
export async function readAll(
  broker: Pick<Broker, "jsm">,
  stream: string,
  filter: string,
  onMessage: (message: {
    readonly seq: number;
    readonly subject: string;
    readonly data: Uint8Array;
    readonly time: Date;
  }) => void,
): Promise<void> {
  for (let seq = 1; ; ) {
    const before = seq;
    try {
      const options = { seq, next_by_subj: filter, batch: batchMessages };
      for await (const message of await broker.jsm.direct.getBatch(stream, options)) {
        onMessage(message);
        seq = message.seq + 1;
      }
    } catch (error) {
      if (error instanceof JetStreamError && Reflect.get(error, "code") === notFound) return;
      throw error;
    }
    if (seq === before) return;
  }
}

const quietMs = 10_000;

/** Reads the last message of each subject, and what follows, until one says that it is enough. */
export async function readLastOfEach(
  broker: Broker,
  stream: string,
  filters: string[],
  onMessage: (message: JsMsg) => boolean,
): Promise<void> {
  const consumer = await broker.js.consumers.get(stream, {
    filter_subjects: filters,
    deliver_policy: "last_per_subject",
    inactive_threshold: 30_000,
  });
  let messages: ConsumerMessages | undefined;
  let quiet: NodeJS.Timeout | undefined;
  let over = false;
  try {
    await new Promise<void>((resolve, reject) => {
      // Over a line that is cut again and again the client may wait for good; whoever reads tries again.
      quiet = setTimeout(() => broken(`nothing came for ${quietMs} ms`), quietMs);
      const callback = (message: JsMsg) => {
        quiet?.refresh();
        try {
          if (onMessage(message)) resolve();
        } catch (error) {
          reject(error);
        }
      };
      const broken = (why: string) => reject(new Error(`${stream} could not be read: ${why}`));
      const options = { max_messages: 2_000, abort_on_missing_resource: true, callback };
      consumer.consume(options).then((reading) => {
        messages = reading;
        if (over) reading.close().catch(() => {});
        void watch(reading, broken);
      }, reject);
    });
  } finally {
    clearTimeout(quiet);
    over = true;
    messages?.close().catch(() => {}); // not waited for: without a line it does not end
    await consumer.delete().catch(() => false);
  }
}
