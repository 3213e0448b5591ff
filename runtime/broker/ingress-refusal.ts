// What a server's refusal to store an event means for who sent it. Decided by error codes (server/errors.json),
// and, where a code covers several causes, by the stream's state: never by an error's text.
import { type CloudEvent, EddyError, nameOf } from "../events/index.ts";
import type { NatsConnection } from "./client.ts";

const storeFailed = 10077; // maximum bytes, maximum messages, and any fault of the file system
const messageExceedsMaximum = 10054;
const outOfResources = new Set([
  10002, // the account's limits
  10023, // insufficient resources
  10028, // memory
  10047, // storage
]);

interface Refused {
  readonly event: CloudEvent;
  readonly sizeBytes: number;
}

/** The error of an event that the server refused with this code. */
export async function refusal(
  nc: NatsConnection,
  stream: string,
  { event, sizeBytes }: Refused,
  error: { readonly err_code: number; readonly description: string },
): Promise<EddyError> {
  const { err_code: code, description } = error;
  if (code === messageExceedsMaximum) {
    return tooLarge(event, sizeBytes, `stream ${stream} has a lower limit (max_msg_size)`);
  }
  if (outOfResources.has(code)) {
    return full(stream, event, `the server has no more room for it (${description}, ${code})`);
  }
  if (code === storeFailed) {
    const limit = await limitReached(nc, stream, sizeBytes);
    if (limit !== undefined) return full(stream, event, `it is at its limit of ${limit}`);
  }
  return new EddyError(
    "EDDY_STORE_REFUSED",
    `stream ${stream} did not store ${nameOf(event)}: ${description} (${code}). ` +
      "See the log of nats-server; send the event again when that is mended",
    { stream, serverCode: code },
  );
}

/** An event that cannot be stored as it is, however often it is sent. */
export function tooLarge(event: CloudEvent, sizeBytes: number, limit: string): EddyError {
  return new EddyError(
    "EDDY_EVENT_TOO_LARGE",
    `${nameOf(event)} is a message of ${sizeBytes} bytes, but ${limit}. It was not stored. ` +
      "Send less data, or a link to it; or raise the limit (max_payload in nats-server's configuration)",
    { sizeBytes },
  );
}

function full(stream: string, event: CloudEvent, why: string): EddyError {
  return new EddyError(
    "EDDY_HOME_FULL",
    `stream ${stream} refuses ${nameOf(event)}: ${why}. Nothing was dropped: what it has, some handler may still need. ` +
      "See `eddy handlers` for one that lags or has stopped; or give it more room (home.maxBytes, and the server's disk)",
    { stream },
  );
}

interface Info {
  readonly config?: { readonly max_bytes?: number; readonly max_msgs?: number };
  readonly state?: { readonly bytes: number; readonly messages: number };
}

/** What the store adds to a message is not told exactly; its subject has 2 kB at most. */
const overheadBytesMax = 4_096;

async function limitReached(
  nc: NatsConnection,
  stream: string,
  sizeBytes: number,
): Promise<string | undefined> {
  try {
    const reply = await nc.request(`$JS.API.STREAM.INFO.${stream}`, "", { timeout: 2_000 });
    const { config, state } = reply.json<Info>();
    const { max_bytes: maxBytes = -1, max_msgs: maxMessages = -1 } = config ?? {};
    if (state === undefined) return undefined;
    if (maxMessages > 0 && state.messages >= maxMessages) return `${maxMessages} messages`;
    const needed = state.bytes + sizeBytes + overheadBytesMax;
    return maxBytes > 0 && needed > maxBytes ? `${maxBytes} bytes` : undefined;
  } catch {
    return undefined; // the refusal itself is said all the same
  }
}

export function notConnected(nc: NatsConnection, cause?: unknown): EddyError {
  return new EddyError(
    "EDDY_NOT_CONNECTED",
    `no connection to NATS at ${nc.getServer()} at the moment: the events may or may not be stored. ` +
      "The runtime keeps trying to connect; send them again, which stores none twice",
    {},
    cause === undefined ? {} : { cause },
  );
}

export function noStream(stream: string): EddyError {
  return new EddyError(
    "EDDY_HOME_MISSING",
    `nobody stores events: the stream ${stream} is not there, or its server is just starting. ` +
      "Nothing was stored. Is home.stream right, and does the stream have the subject events.>?",
    { stream },
  );
}
