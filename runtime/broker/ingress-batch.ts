// Storing the events of several requests in one atomic batch (ADR-50): one sync of the disk for all of them.
// Q1 One batch at a time: what comes meanwhile is the next one. Q2 A batch that is refused has stored nothing, and its
// requests are sent again, each event by itself. Q3 Its messages keep their ids, so that one whose answer was lost is known.
import { randomBytes } from "node:crypto";
import type { EddyError } from "../events/index.ts";
import { createInbox, type NatsConnection } from "./client.ts";
import type { Each } from "./ingress-each.ts";
import type { Pace } from "./ingress-pace.ts";
import { noStream, notConnected } from "./ingress-refusal.ts";
import {
  answerMsMax,
  isStranger,
  type PubAck,
  type Publish,
  type Request,
} from "./ingress-request.ts";
import { wireHeaders } from "./wire.ts";

export interface Batches {
  readonly underWay: boolean;
  send(requests: readonly Request[]): void;
  /** Nobody will answer any more: all that wait are settled with this. */
  lost(error: EddyError): void;
}

interface Batch {
  readonly reply: string;
  readonly requests: readonly Request[];
  readonly messages: readonly { readonly request: Request; readonly messageId: string }[];
  readonly sentMs: number;
  readonly timer: NodeJS.Timeout;
}

export function createBatches(
  nc: NatsConnection,
  stream: string,
  pace: Pace,
  each: Each,
  onEnd: () => void,
): Batches {
  const inbox = createInbox();
  let batch: Batch | undefined;
  let count = 0;

  nc.subscribe(`${inbox}.*`, {
    callback(error, reply) {
      if (error !== null || batch === undefined || reply.subject !== batch.reply) return;
      answered(batch, reply.headers?.code === 503 ? "nobody" : reply.json<PubAck>());
    },
  });

  function answered({ requests, messages, sentMs }: Batch, answer: PubAck | "nobody"): void {
    if (answer === "nobody") for (const request of requests) request.settle(noStream(stream));
    else {
      const strangers = requests.filter((request) => isStranger(request, stream, answer));
      if (strangers.length > 0) return;
      if (answer.error !== undefined) requests.forEach(each.send);
      else {
        pace.stored(messages.length, performance.now() - sentMs);
        const firstSeq = (answer.seq ?? 0) - messages.length + 1;
        for (const [at, { request, messageId }] of messages.entries())
          request.answers.set(messageId, { seq: firstSeq + at, duplicate: false });
        for (const request of requests) request.settle();
      }
    }
    end();
  }

  function end(): void {
    clearTimeout(batch?.timer);
    batch = undefined;
    onEnd();
  }

  function publish({ messages, reply }: Batch): void {
    const id = randomBytes(12).toString("base64url");
    for (const [at, { request, messageId }] of messages.entries()) {
      const { natsSubject, data, lines } = request.publishes.get(messageId) as Publish;
      const own = `${lines}Nats-Batch-Id: ${id}\r\nNats-Batch-Sequence: ${at + 1}\r\n`;
      if (at < messages.length - 1) nc.publish(natsSubject, data, { headers: wireHeaders(own) });
      else {
        const headers = wireHeaders(`${own}Nats-Batch-Commit: 1\r\n`);
        nc.publish(natsSubject, data, { headers, reply });
      }
    }
  }

  return {
    get underWay() {
      return batch !== undefined;
    },
    send(requests) {
      const messages = requests.flatMap((request) =>
        [...request.publishes.keys()].map((messageId) => ({ request, messageId })),
      );
      const timer = setTimeout(end, answerMsMax); // its requests have timers of their own
      const reply = `${inbox}.${(count++).toString(36)}`;
      batch = { reply, requests, messages, sentMs: performance.now(), timer };
      try {
        publish(batch);
      } catch (cause) {
        for (const request of requests) request.settle(notConnected(nc, cause)); // closed in between
        end();
      }
    },
    lost(error) {
      if (batch === undefined) return;
      for (const request of batch.requests) request.settle(error);
      end();
    },
  };
}
