// One stored message, read from its stream's leader: never stale, headers as the bytes they are.
// The client's own call decodes headers as UTF-8 and reads from any replica where direct gets are allowed.
import { EddyError } from "../events/index.ts";
import type { NatsConnection } from "./client.ts";
import { answerTo } from "./losses.ts";

export interface StoredMessage {
  readonly natsSubject: string;
  readonly seq: number;
  readonly time: Date;
  /** The header block's bytes. */
  readonly headers?: Uint8Array;
  readonly data: Uint8Array;
}

export type Which =
  | { readonly seq: number }
  | { readonly last_by_subj: string }
  /** The first one of a subject at or above a sequence. */
  | { readonly seq: number; readonly next_by_subj: string };

interface Answer {
  error?: { err_code: number; description: string };
  message?: { subject: string; seq: number; time: string; hdrs?: string; data?: string };
}

const noMessageFound = 10037;
const streamNotFound = 10059;

/** Reads a message by its sequence, or the last one of a subject; undefined where there is none. */
export async function readMessage(
  nc: NatsConnection,
  stream: string,
  which: Which,
): Promise<StoredMessage | undefined> {
  const { error, message } = await ask(nc, `$JS.API.STREAM.MSG.GET.${stream}`, which);
  if (error?.err_code === noMessageFound || error?.err_code === streamNotFound) return undefined;
  if (error !== undefined || message === undefined) {
    const why =
      error === undefined ? "an empty answer" : `${error.description} (${error.err_code})`;
    throw new EddyError("EDDY_READ_FAILED", `stream ${stream} could not be read: ${why}`);
  }
  return {
    natsSubject: message.subject,
    seq: message.seq,
    time: new Date(message.time),
    data: bytesOf(message.data),
    ...(message.hdrs === undefined ? {} : { headers: bytesOf(message.hdrs) }),
  };
}

/** Removes one message, where it is there. */
export async function removeMessage(
  nc: NatsConnection,
  stream: string,
  seq: number,
): Promise<void> {
  const request = { seq, no_erase: true };
  const { error } = await ask(nc, `$JS.API.STREAM.MSG.DELETE.${stream}`, request);
  if (error === undefined || (await readMessage(nc, stream, { seq })) === undefined) return;
  throw new EddyError(
    "EDDY_READ_FAILED",
    `message ${seq} of stream ${stream} could not be removed: ${error.description} (${error.err_code})`,
  );
}

async function ask(nc: NatsConnection, natsSubject: string, request: object): Promise<Answer> {
  const reply = await answerTo(nc, natsSubject, JSON.stringify(request), { timeout: 5_000 });
  return reply.json<Answer>();
}

function bytesOf(base64: string | undefined): Uint8Array {
  return base64 === undefined ? new Uint8Array(0) : Buffer.from(base64, "base64");
}
