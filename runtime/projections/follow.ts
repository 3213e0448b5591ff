// Messages of a stream as they come, over reconnects and restarts of the server, without a gap.
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Consumer,
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JsMsg,
  jetstreamManager,
} from "@nats-io/jetstream";
import { type NatsConnection, streamInfo } from "../broker/index.ts";
import { notReachable } from "./answered.ts";
import { unknownProjection } from "./entry.ts";

/** Messages of a filter above a sequence, or from the last of each subject on, for as long as the stream is there. */
export async function* follow(
  nc: NatsConnection,
  js: JetStreamClient,
  stream: string,
  filter: string,
  signal: AbortSignal,
  since?: number,
): AsyncGenerator<JsMsg> {
  let after = since;
  let messages: ConsumerMessages | undefined;
  const stop = () => messages?.stop();
  signal.addEventListener("abort", stop);
  try {
    while (!signal.aborted) {
      if (nc.isClosed()) throw notReachable(new Error("the connection is closed"));
      const consumer = await openConsumer(js, stream, filter, after).catch(missing);
      try {
        messages = await consumer?.consume({
          expires: 5_000,
          idle_heartbeat: 1_000,
          max_messages: 1_000,
          abort_on_missing_resource: true, // then it is opened anew below, where it was
        });
        if (signal.aborted) stop();
        for await (const message of messages ?? []) {
          after = message.seq;
          yield message;
        }
      } catch {
        // The consumer went away with a server that was restarted, or was lost in a long cut.
      } finally {
        stop();
        if (consumer !== undefined) await discard(consumer);
      }
      await sleep(250, undefined, { signal }).catch(() => {});
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }

  // A stream that is gone ends the watch; everything else is a server that does not answer yet.
  async function missing(): Promise<undefined> {
    const jsm = await jetstreamManager(nc, { checkAPI: false });
    const info = await streamInfo(jsm, stream).catch(() => "no answer" as const);
    if (info === undefined) throw unknownProjection(stream.slice("KV_".length));
  }
}

function openConsumer(
  js: JetStreamClient,
  stream: string,
  filter: string,
  after: number | undefined,
): Promise<Consumer> {
  const from =
    after === undefined
      ? { deliver_policy: DeliverPolicy.LastPerSubject }
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: after + 1 };
  return js.consumers.get(stream, { filter_subjects: filter, inactive_threshold: 30_000, ...from });
}

// Where it fails, the server removes the consumer itself when nobody has asked for a while.
async function discard(consumer: Consumer): Promise<void> {
  await consumer.delete().catch(() => false);
}
