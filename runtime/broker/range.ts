// A range of a stream, read once from its first message to its last, in chunks: nothing more is asked for while whoever
// reads is busy. Leaves no trace on the server.
// A1 Chunks follow each other without a gap and without a repeat, also over a lost connection. A2 It ends, also where
// messages are removed while they are read.
import { setTimeout as sleep } from "node:timers/promises";
import { EddyError } from "../events/index.ts";
import { AckPolicy, DeliverPolicy, nanos } from "./client.ts";
import type { Broker } from "./connect.ts";
import { consumerInfo } from "./consumers.ts";
import type { Delivery } from "./delivery.ts";
import { readDurable } from "./durable-read.ts";

export interface Range {
  readonly stream: string;
  /** What is wanted. More may be read, where a filter would cost the server more than the messages that it leaves out. */
  readonly filter: string;
  readonly from: number;
  /** The last sequence, inclusive; without it all that stands there once it has been read so far. */
  readonly to?: number;
  /** Without what the messages carry; a header `Nats-Msg-Size` says how much that is. */
  readonly headersOnly?: boolean;
}

/** What is needed of a broker to read. */
export type RangeReader = Pick<Broker, "nc" | "jsm" | "maxPayloadBytes">;

const queuedBytesMax = 4 * 2 ** 20;
const chunkMax = 2_000; // messages
const denseShare = 0.2; // of what stands there: from here on a filter costs more than it saves
const quietMs = 1_000;
const triesMax = 5; // without anything read between
const allFilter = ">";

/** @throws EddyError `EDDY_READ_FAILED` where the stream cannot be read for several tries. */
export async function* readRange(broker: RangeReader, range: Range): AsyncGenerator<Delivery[]> {
  const { stream, to = Number.MAX_SAFE_INTEGER } = range;
  let from = Math.max(1, range.from);
  let why = "";
  for (let tries = 0; tries < triesMax; tries++) {
    if (from > to) return;
    if (tries > 0) await sleep(tries * 250);
    try {
      const part = await openPart(broker, { ...range, from, to });
      try {
        for (let chunk = await part.next(); chunk !== undefined; chunk = await part.next()) {
          tries = 0;
          from = (chunk.at(-1)?.seq ?? to) + 1;
          yield chunk;
        }
        return;
      } finally {
        await part.close();
      }
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      why = error.message;
    }
  }
  const text = `stream ${stream} could not be read from ${from} on: ${why}`;
  throw new EddyError("EDDY_READ_FAILED", text);
}

class Broken extends Error {}

/** One consumer's part of the range: until its end, or until the consumer is gone. */
async function openPart(broker: RangeReader, range: Range & { readonly to: number }) {
  const { stream, from, to } = range;
  const { name, pending } = await openConsumer(broker, range);
  let queue: Delivery[] = [];
  let bytes = 0;
  let due = 1;
  let last = from - 1;
  let over = pending === 0;
  let broken: string | undefined;
  let wake = () => {};
  const read = readDurable(broker, stream, name, take, () => bytes < queuedBytesMax);
  void read.broken.then((why) => fail(why));

  function take(delivery: Delivery): void {
    if (over || broken !== undefined) return;
    const { deliverySeq, seq, pending: left, raw } = delivery;
    if (deliverySeq !== due++) {
      fail("a message went missing on its way");
      return;
    }
    if (seq <= to) {
      queue.push(delivery);
      bytes += raw.byteLength;
      last = seq;
    }
    over = seq >= to || left === 0;
    wake();
  }

  function fail(why: string): void {
    broken = why;
    wake();
  }

  // What was to come may have been removed.
  async function look(): Promise<void> {
    const info = await consumerInfo(broker.jsm, stream, name).catch(() => null);
    if (broker.nc.isClosed()) fail("the connection is closed");
    else if (info === undefined) fail("its consumer is gone");
    else if (info?.num_pending === 0 && info.delivered.consumer_seq < due) over = true;
  }

  async function untilSomething(): Promise<void> {
    const timer = setTimeout(() => wake(), quietMs);
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    clearTimeout(timer);
  }

  return {
    /** What has come since; undefined at the end. */
    async next(): Promise<Delivery[] | undefined> {
      for (;;) {
        const chunk = queue.slice(0, chunkMax);
        if (chunk.length > 0) {
          queue = queue.slice(chunkMax);
          bytes -= chunk.reduce((sum, { raw }) => sum + raw.byteLength, 0);
          read.more();
          return chunk;
        }
        if (over) return undefined;
        if (broken !== undefined) throw new Broken(broken);
        const before = last;
        await untilSomething();
        if (queue.length === 0 && before === last && !over && broken === undefined) await look();
      }
    },
    async close(): Promise<void> {
      read.stop();
      await broker.jsm.consumers.delete(stream, name).catch(() => false); // goes by itself otherwise
    },
  };
}

async function openConsumer(
  broker: RangeReader,
  { stream, filter, from, to, headersOnly = false }: Range & { readonly to: number },
): Promise<{ readonly name: string; readonly pending: number }> {
  const config = {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: from,
    mem_storage: true,
    num_replicas: 1,
    headers_only: headersOnly,
    inactive_threshold: nanos(30_000),
  };
  const { consumers } = broker.jsm;
  const narrow = await consumers.add(stream, { ...config, filter_subject: filter });
  if (filter === allFilter || narrow.num_pending < (to - from + 1) * denseShare)
    return { name: narrow.name, pending: narrow.num_pending };
  await consumers.delete(stream, narrow.name);
  const wide = await consumers.add(stream, { ...config, filter_subject: allFilter });
  return { name: wide.name, pending: wide.num_pending };
}
