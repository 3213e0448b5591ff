// Messages of a stream as they come, over reconnects and restarts of the server, without a gap.
// F1 A stream that was made anew, or has lost its end, is begun anew: what stands there is given from the first message on.
// F2 What nobody reads is not asked for: about `aheadBytes` of it wait in memory.
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Consumer,
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JsMsg,
  jetstreamManager,
} from "@nats-io/jetstream";
import {
  JetStreamApiError,
  type NatsConnection,
  type StreamInfo,
  streamInfo,
} from "../broker/index.ts";
import { EddyError } from "../events/index.ts";
import { notReachable } from "./answered.ts";
import { unknownProjection } from "./entry.ts";

/** What was read of a stream, and of which: sequences of one that was made anew begin anew. */
export interface Place {
  readonly seq: number;
  /** When the stream was made. */
  readonly created: string;
}

export interface Followed {
  readonly message: JsMsg;
  readonly created: string;
  /** It stood there already when the stream was begun. */
  readonly stood: boolean;
}

const aheadBytes = 2 ** 20;
const aheadMax = 1_000;
const retryMs = 250;
const refusedMsMax = 5_000;

interface Opened {
  readonly consumer: Consumer;
  readonly created: string;
  readonly stoodUntil: number;
  /** Messages that the server may send before they are read. */
  readonly ahead: number;
}

/**
 * Messages of a filter behind a place, or from the last of each subject on, for as long as the stream is there.
 * @throws EddyError `EDDY_PROJECTION_UNKNOWN` where it is gone, `EDDY_READ_FAILED` where the server refuses to give it.
 */
export async function* follow(
  nc: NatsConnection,
  js: JetStreamClient,
  stream: string,
  filter: string,
  signal: AbortSignal,
  since?: Place,
): AsyncGenerator<Followed> {
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  let place = since;
  let stoodUntil = 0;
  let refusedMs: number | undefined; // since when
  let messages: ConsumerMessages | undefined;
  const stop = () => messages?.stop();
  signal.addEventListener("abort", stop);
  try {
    while (!signal.aborted) {
      if (nc.isClosed()) throw notReachable(new Error("the connection is closed"));
      const opened = await open().catch(refused);
      if (opened === undefined) {
        await sleep(retryMs, undefined, { signal }).catch(() => {});
        continue;
      }
      const { consumer, created } = opened;
      refusedMs = undefined;
      stoodUntil = opened.stoodUntil;
      try {
        messages = await consumer.consume({
          expires: 5_000,
          idle_heartbeat: 1_000,
          max_messages: opened.ahead,
          abort_on_missing_resource: true, // then it is opened anew below, where it was
        });
        if (signal.aborted) stop();
        for await (const message of messages) {
          place = { seq: message.seq, created };
          yield { message, created, stood: message.seq <= stoodUntil };
        }
      } catch {
        // The consumer went away with a server that was restarted, or was lost in a long cut.
      } finally {
        stop();
        await discard(consumer);
      }
      await sleep(retryMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }

  async function open(): Promise<Opened | undefined> {
    const info = await present();
    const { created, state } = info;
    const isKnown = place?.created === created && place.seq <= state.last_seq;
    const consumer = await openConsumer(js, stream, filter, isKnown ? place?.seq : undefined);
    const again = await present().catch(() => undefined);
    if (again?.created === created) {
      const ahead = aheadOf(info);
      return { consumer, created, ahead, stoodUntil: isKnown ? stoodUntil : state.last_seq };
    }
    await discard(consumer); // made anew in between: whose consumer that is nobody knows
    return undefined;
  }

  async function present(): Promise<StreamInfo> {
    const info = await streamInfo(jsm, stream);
    if (info === undefined) throw unknownProjection(stream.slice("KV_".length));
    return info;
  }

  // A stream that is gone ends the watch, and a server that says no for a while; one that does not answer may do so later.
  function refused(error: unknown): undefined {
    if (error instanceof EddyError) throw error;
    if (!(error instanceof JetStreamApiError) || error.status >= 500) {
      refusedMs = undefined;
      return;
    }
    refusedMs ??= performance.now();
    if (performance.now() - refusedMs < refusedMsMax) return;
    const text = `the server refuses to give what changes in ${stream}: ${error.message} (${error.code}). See its limits and the rights of the user`;
    throw new EddyError("EDDY_READ_FAILED", text, {}, { cause: error });
  }
}

function aheadOf({ state: { bytes, messages } }: StreamInfo): number {
  const each = messages === 0 ? 1 : bytes / messages;
  return Math.max(4, Math.min(aheadMax, Math.floor(aheadBytes / each)));
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
export async function discard(consumer: Consumer): Promise<void> {
  await consumer.delete().catch(() => false);
}
