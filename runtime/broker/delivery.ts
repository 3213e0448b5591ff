// One delivery of a consumer, read off the client's message without its detours: the client would turn the reply
// subject into text and split it, and parse every header, which costs more than all else that is done with an event.
// D1 What the client keeps inside is used where it is as expected; else its public side.
import type { JsMsg } from "./client.ts";
import { headerBytes } from "./wire.ts";

export interface Delivery {
  readonly message: JsMsg;
  /** Stream sequence. */
  readonly seq: number;
  /** Running number of the consumer's deliveries since it was made or wound: 1, 2, 3 … */
  readonly deliverySeq: number;
  /** When the stream stored it, in ms. */
  readonly storedMs: number;
  /** Header block and payload, as stored. */
  readonly raw: Buffer;
  /** Length of the header block in `raw`; 0 where there is none. */
  readonly headerLength: number;
}

/** What the client's messages hold: `hdr` is -1 where there are no headers. */
interface Inside extends JsMsg {
  readonly msg?: {
    readonly _rdata?: Uint8Array;
    readonly _msg?: { readonly hdr?: number; readonly reply?: Uint8Array };
  };
}

export function readDelivery(message: JsMsg): Delivery {
  const inside = (message as Inside).msg;
  const bytes = inside?._rdata;
  const reply = inside?._msg?.reply;
  const headerLength = inside?._msg?.hdr;
  if (bytes === undefined || reply === undefined || headerLength === undefined) {
    return fromPublicSide(message);
  }
  const first = readNumbers(reply);
  if (first === 0) return fromPublicSide(message);
  return {
    message,
    seq: numbers[first] as number,
    deliverySeq: numbers[first + 1] as number,
    storedMs: Math.floor((numbers[first + 2] as number) / 1e6),
    raw: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    headerLength: Math.max(0, headerLength),
  };
}

// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or with domain and account
// hash behind `ACK` and a random token at the end. The tokens' values as numbers; other tokens come out as nonsense.
const numbers = new Float64Array(16);
const dot = 46;
const zero = 48;

/** Reads the tokens and gives the place of the stream sequence; 0 where it is no such subject. */
function readNumbers(reply: Uint8Array): number {
  let count = 0;
  let value = 0;
  for (let at = 0; at < reply.length; at++) {
    const byte = reply[at] as number;
    if (byte !== dot) value = value * 10 + byte - zero;
    else {
      if (count === numbers.length) return 0;
      numbers[count++] = value;
      value = 0;
    }
  }
  numbers[count++] = value;
  if (count === 9) return 5;
  return count >= 11 ? 7 : 0;
}

function fromPublicSide(message: JsMsg): Delivery {
  const { streamSequence: seq, deliverySequence: deliverySeq, timestampNanos } = message.info;
  const block = message.headers === undefined ? undefined : headerBytes(message.headers);
  return {
    message,
    seq,
    deliverySeq,
    storedMs: Math.floor(timestampNanos / 1e6),
    raw: Buffer.concat([block ?? new Uint8Array(0), message.data]),
    headerLength: block?.byteLength ?? 0,
  };
}
