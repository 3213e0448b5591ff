// Feeds a local copy from its bucket for as long as it is wanted: over cuts, restarts of the server, and a bucket that is
// removed or made anew. Owns when the copy may be read.
// F1 A copy is read only when it holds all that the bucket held when its filling began; one that is fed goes on where it
// was, without a gap. F2 A bucket made anew, or one that was not heard of for so long that markers of deletions may
// have expired meanwhile, is filled anew; until then nothing is read from it.
import { setTimeout as sleep } from "node:timers/promises";
import {
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JsMsg,
} from "@nats-io/jetstream";
import type { Local } from "../../authoring/index.ts";
import { readMessage, type StreamInfo, streamInfo } from "../../broker/index.ts";
import { untoken } from "../../events/index.ts";
import type { Reading } from "../../pipeline/index.ts";
import { discard } from "../follow.ts";
import { type Copy, createCopy, textOf } from "./copy.ts";
import { createCursor } from "./cursor.ts";

/** What one filling of a copy has come to. */
export interface Filled {
  readonly copy: Copy;
  readonly cursor: ReturnType<typeof createCursor>;
  /** It may be read. */
  ready: boolean;
  /** When the bucket was last known to hold nothing newer, as of `performance.now()`. */
  heardMs: number;
}

export interface Feed {
  readonly now: Filled | undefined;
  /** Resolves when it has ended: with the signal, or because the copy has outgrown its bound. */
  readonly ended: Promise<"stopped" | "outgrown">;
}

export interface FeedSpec {
  readonly name: string;
  readonly local: Local;
  readonly bytesMax: number;
}

/** Markers of deletions last 24 h. */
const unheardMsMax = 12 * 3_600_000;
const retryMs = 250;

interface State {
  filled: Filled | undefined;
  created: string;
  /** The last message that was taken. */
  after: number | undefined;
}

export function startFeed(
  reading: Reading & { readonly js: JetStreamClient },
  spec: FeedSpec,
  signal: AbortSignal,
): Feed {
  const state: State = { filled: undefined, created: "", after: undefined };
  const outgrown = () =>
    spec.local === "all" && (state.filled?.copy.sizeBytes ?? 0) > spec.bytesMax;

  async function run(): Promise<"stopped" | "outgrown"> {
    while (!signal.aborted) {
      try {
        const info = await streamInfo(reading.jsm, `KV_${spec.name}`);
        if (info?.config.subjects.includes(`cursor.${spec.name}`)) await feedOnce(info);
        else state.filled = undefined; // gone: whoever reads it is told by the server
      } catch {
        // A server that does not answer yet; what is there can be read.
      }
      if (outgrown()) {
        state.filled = undefined;
        return "outgrown";
      }
      await sleep(retryMs, undefined, { signal }).catch(() => {});
    }
    return "stopped";
  }

  async function feedOnce(info: StreamInfo): Promise<void> {
    const filled = await begin(info);
    const known = state.after;
    const from =
      known === undefined
        ? { deliver_policy: DeliverPolicy.LastPerSubject }
        : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: known + 1 };
    const options = { inactive_threshold: 30_000, ...from };
    const consumer = await reading.js.consumers.get(`KV_${spec.name}`, options);
    let messages: ConsumerMessages | undefined;
    const stop = () => messages?.stop();
    try {
      let left = (await consumer.info(true)).num_pending;
      if (left === 0) heard(filled);
      messages = await consumer.consume({
        expires: 5_000,
        idle_heartbeat: 1_000,
        max_messages: 1_000,
        abort_on_missing_resource: true,
        callback(message) {
          take(filled, message);
          left = message.info.pending;
          if (left === 0) heard(filled);
          if (outgrown()) stop();
        },
      });
      signal.addEventListener("abort", stop);
      if (signal.aborted) stop();
      void listen(messages, () => left === 0 && heard(filled));
      await messages.closed();
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
      await discard(consumer);
    }
  }

  /** Goes on with what is there, or with nothing. */
  async function begin(info: StreamInfo): Promise<Filled> {
    const { filled } = state;
    const isKnown = info.created === state.created && (state.after ?? 0) <= info.state.last_seq;
    if (filled !== undefined && isKnown) {
      if (performance.now() - filled.heardMs < unheardMsMax) return filled;
    }
    const made = {
      copy: createCopy(spec.name, spec.local, spec.bytesMax),
      cursor: createCursor(reading.home),
      ready: false,
      heardMs: performance.now(),
    };
    Object.assign(state, { filled: undefined, created: info.created, after: undefined });
    if (spec.local !== "all") {
      // What is read from the server later is newer than this record, and what follows is fed.
      const subject = `cursor.${spec.name}`;
      const record = await readMessage(reading.nc, `KV_${spec.name}`, { last_by_subj: subject });
      if (record !== undefined) made.cursor.record(record.data);
      state.after = info.state.last_seq;
    }
    state.filled = made;
    return made;
  }

  function take({ copy, cursor }: Filled, message: JsMsg): void {
    const { subject, data, seq } = message;
    state.after = seq;
    const prefix = `$KV.${spec.name}.`;
    if (subject.startsWith(prefix)) {
      const key = untoken(subject.slice(prefix.length));
      if (key !== undefined) copy.follow(key, { seq, text: textOf(data) });
      cursor.passed(subject);
    } else if (subject === `cursor.${spec.name}`) cursor.record(data);
    else cursor.passed(subject);
  }

  return {
    get now() {
      return state.filled;
    },
    ended: run(),
  };
}

function heard(filled: Filled): void {
  filled.heardMs = performance.now();
  filled.ready = true;
}

// The server sends a heartbeat where it has had nothing to send for a second.
async function listen(messages: ConsumerMessages, onHeartbeat: () => void): Promise<void> {
  for await (const { type } of messages.status()) if (type === "heartbeat") onHeartbeat();
}
