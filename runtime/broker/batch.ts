// Stores messages of one stream all or none: an atomic batch (ADR-50), or a plain publish where there is one.
// Written by hand because the client's batch ignores expectations and hides why a batch was refused.
// B1 A result other than "unanswered" is the server's word. B2 Nothing here retries.
import { randomBytes } from "node:crypto";
import type { MsgHdrs, NatsConnection } from "./client.ts";
import { onLoss } from "./losses.ts";
import { wireHeaders } from "./wire.ts";

export interface BatchMessage {
  readonly natsSubject: string;
  /** Header lines, each ended by CR LF; may be empty. */
  readonly headerLines: string;
  readonly data: Uint8Array;
  /** Refuse the batch unless this is the last sequence of the message's own subject (0: none yet). */
  readonly expectedSeq?: number;
}

export type BatchResult =
  /** Sequences are contiguous; `lastSeq` is that of the last message. */
  | { readonly kind: "stored"; readonly lastSeq: number }
  /** An expectation did not hold: another writer was there. */
  | { readonly kind: "stale" }
  /** The stream is at its limit and refuses. Nothing was dropped. */
  | { readonly kind: "full"; readonly description: string }
  /** The server will not store at least one of these messages. */
  | { readonly kind: "refused"; readonly code: number; readonly description: string }
  /** No answer: it may have happened. */
  | { readonly kind: "unanswered"; readonly cause: unknown };

/** Most messages of one batch: the server's default limit is 1,000. */
export const batchMessagesMax = 900;

interface Answer {
  error?: { code: number; err_code: number; description: string };
  seq?: number;
}

const wrongLastSequence = 10071;
const wrongLastSequenceUnknown = 10164;
const storeFailed = 10077; // with it the server reports "maximum bytes exceeded" and the like
const insufficientResources = 10023;
const batchIncomplete = 10176;

/** Stores the messages in one step. `timeoutMs` bounds the wait for the answer. */
export async function storeBatch(
  nc: NatsConnection,
  messages: readonly BatchMessage[],
  timeoutMs: number,
): Promise<BatchResult> {
  const last = messages.at(-1);
  if (last === undefined) throw new RangeError("a batch holds at least one message");
  const single = messages.length === 1;
  const id = single ? "" : randomBytes(12).toString("base64url");
  try {
    for (let at = 0; at < messages.length - 1; at++) {
      const message = messages[at] as BatchMessage;
      nc.publish(message.natsSubject, message.data, { headers: batchHeaders(message, id, at + 1) });
    }
    const headers = single
      ? wireHeaders(ownLines(last))
      : batchHeaders(last, id, messages.length, "Nats-Batch-Commit: 1\r\n");
    return resultOf(await answer(nc, last, headers, timeoutMs));
  } catch (cause) {
    return { kind: "unanswered", cause };
  }
}

function answer(
  nc: NatsConnection,
  { natsSubject, data }: BatchMessage,
  headers: MsgHdrs,
  timeout: number,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const release = onLoss(nc, () =>
      reject(new Error("the connection was lost before the answer")),
    );
    nc.request(natsSubject, data, { timeout, headers })
      .then((reply) => resolve(reply.json<Answer>()), reject)
      .finally(release);
  });
}

function resultOf(answer: Answer): BatchResult {
  if (answer.error === undefined && answer.seq !== undefined) {
    return { kind: "stored", lastSeq: answer.seq };
  }
  const code = answer.error?.err_code ?? 0;
  const description = answer.error?.description ?? "an answer without a sequence";
  switch (code) {
    case wrongLastSequence:
    case wrongLastSequenceUnknown:
      return { kind: "stale" };
    case storeFailed:
    case insufficientResources:
      return { kind: "full", description };
    case batchIncomplete: // messages of it were lost on the way, as after a reconnect: nothing was stored
      return { kind: "unanswered", cause: new Error(description) };
    default:
      return { kind: "refused", code, description };
  }
}

function ownLines(message: BatchMessage): string {
  if (message.expectedSeq === undefined) return message.headerLines;
  return `${message.headerLines}Nats-Expected-Last-Subject-Sequence: ${message.expectedSeq}\r\n`;
}

function batchHeaders(message: BatchMessage, id: string, at: number, commit = "") {
  return wireHeaders(
    `${ownLines(message)}Nats-Batch-Id: ${id}\r\nNats-Batch-Sequence: ${at}\r\n${commit}`,
  );
}
