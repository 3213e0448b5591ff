// Stores messages of one stream all or none: an atomic batch (ADR-50), or a plain publish where there is one.
// Written by hand because the client's batch ignores expectations and hides why a batch was refused.
// B1 A result other than "unanswered" is the server's word. B2 Nothing here retries. B3 An oversized message in the middle
// of a batch gets no answer of its own unless it asks for one: the server calls the batch incomplete.
import { randomBytes } from "node:crypto";
import { createInbox, type MsgHdrs, type NatsConnection } from "./client.ts";
import { answerTo } from "./losses.ts";
import { publishHeaders, wireHeaders } from "./wire.ts";

export interface BatchMessage {
  readonly natsSubject: string;
  /** Header lines, each ended by CR LF; may be empty. */
  readonly headerLines: string;
  readonly data: Uint8Array;
  /** Refuse the batch unless this is the last sequence of a subject (0: none yet): the message's own, or `expectedOn`. */
  readonly expectedSeq?: number;
  readonly expectedOn?: string;
  /** Of an event: whoever stores it need not read it again to know whose it is. */
  readonly identity?: { readonly source: string; readonly id: string };
  /** Takes the place of what stands on its subject: of a group only the last one of a subject is stored. */
  readonly entry?: true;
}

export type BatchResult =
  /** Sequences are contiguous; `lastSeq` is that of the last message. */
  | { readonly kind: "stored"; readonly lastSeq: number }
  /** An expectation did not hold: another writer was there. */
  | { readonly kind: "stale" }
  /** The stream is at its limit and refuses. Nothing was dropped. */
  | { readonly kind: "full"; readonly description: string }
  /** The stream or its server takes no batch at all now, whatever is in it. */
  | { readonly kind: "unable"; readonly code: number; readonly description: string }
  /** The server will not store at least one of these messages. */
  | { readonly kind: "refused"; readonly code: number; readonly description: string }
  /** Some of its messages did not arrive, or were refused before the last one came. Nothing was stored, and the server
   * does not say why: `storeExplained` does. */
  | { readonly kind: "incomplete" }
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
// the account's limits, insufficient resources, memory, storage
const noRoom = new Set([10002, 10023, 10028, 10047, storeFailed]);
const batchIncomplete = 10176;
// another stream than expected, sealed, no TTLs, no batches: a stream that was changed by hand
const unfit = new Set([10060, 10109, 10166, 10174]);

/** Stores the messages in one step. `timeoutMs` bounds the wait for the answer. */
export function storeBatch(
  nc: NatsConnection,
  messages: readonly BatchMessage[],
  timeoutMs: number,
): Promise<BatchResult> {
  return store(nc, messages, timeoutMs, undefined);
}

/** The same, with an answer to each message: a batch that one of them spoils is refused with the server's word on it. */
export async function storeExplained(
  nc: NatsConnection,
  messages: readonly BatchMessage[],
  timeoutMs: number,
): Promise<BatchResult> {
  const inbox = createInbox();
  let spoiled: Answer | undefined;
  const answers = nc.subscribe(inbox, {
    callback(error, message) {
      if (error === null && message.data.byteLength > 0) spoiled ??= message.json<Answer>();
    },
  });
  const result = await store(nc, messages, timeoutMs, inbox);
  answers.unsubscribe(); // the last answer comes after all others
  return result.kind === "incomplete" && spoiled !== undefined ? resultOf(spoiled) : result;
}

async function store(
  nc: NatsConnection,
  messages: readonly BatchMessage[],
  timeoutMs: number,
  inbox: string | undefined,
): Promise<BatchResult> {
  const last = messages.at(-1);
  if (last === undefined) throw new RangeError("a batch holds at least one message");
  const single = messages.length === 1;
  const id = single ? "" : randomBytes(12).toString("base64url");
  const replies = inbox === undefined ? {} : { reply: inbox };
  try {
    for (let at = 0; at < messages.length - 1; at++) {
      const message = messages[at] as BatchMessage;
      const headers = publishHeaders(batchLines(message, id, at + 1));
      nc.publish(message.natsSubject, message.data, { headers, ...replies });
    }
    const lines = single
      ? ownLines(last)
      : `${batchLines(last, id, messages.length)}Nats-Batch-Commit: 1\r\n`;
    return resultOf(await answer(nc, last, wireHeaders(lines), timeoutMs));
  } catch (cause) {
    return { kind: "unanswered", cause };
  }
}

async function answer(
  nc: NatsConnection,
  { natsSubject, data }: BatchMessage,
  headers: MsgHdrs,
  timeout: number,
): Promise<Answer> {
  return (await answerTo(nc, natsSubject, data, { timeout, headers })).json<Answer>();
}

function resultOf(answer: Answer): BatchResult {
  if (answer.error === undefined && answer.seq !== undefined) {
    return { kind: "stored", lastSeq: answer.seq };
  }
  const code = answer.error?.err_code ?? 0;
  const description = answer.error?.description ?? "an answer without a sequence";
  if (code === wrongLastSequence || code === wrongLastSequenceUnknown) return { kind: "stale" };
  if (code === batchIncomplete) return { kind: "incomplete" };
  if (noRoom.has(code)) return { kind: "full", description };
  // The server's own trouble, or too many requests: a later batch may go. No message of this one is at fault.
  const status = answer.error?.code ?? 0;
  if (unfit.has(code) || status >= 500 || status === 429)
    return { kind: "unable", code, description };
  return { kind: "refused", code, description };
}

function ownLines(message: BatchMessage): string {
  if (message.expectedSeq === undefined) return message.headerLines;
  const lines = `${message.headerLines}Nats-Expected-Last-Subject-Sequence: ${message.expectedSeq}\r\n`;
  if (message.expectedOn === undefined) return lines;
  return `${lines}Nats-Expected-Last-Subject-Sequence-Subject: ${message.expectedOn}\r\n`;
}

function batchLines(message: BatchMessage, id: string, at: number): string {
  return `${ownLines(message)}Nats-Batch-Id: ${id}\r\nNats-Batch-Sequence: ${at}\r\n`;
}
