// One delivery of a consumer, read off the client's message without its detours: the client would turn the reply
// subject into text and split it, and parse every header, which costs more than all else that is done with an event.
// D1 What the client keeps inside is used where it is as expected; else its public side.
import type { JsMsg, Msg } from "./client.ts";
import { headerBytes } from "./wire.ts";

interface Wrapping extends JsMsg {
  readonly msg?: Msg;
}

/** What the client's messages hold: `hdr` is -1 where there are no headers. */
interface Inside extends Msg {
  readonly _rdata?: Uint8Array;
  readonly _msg?: { readonly hdr?: number; readonly reply?: Uint8Array };
}

const ackBytes = Buffer.from("+ACK");
const workingBytes = Buffer.from("+WPI");

/** A message of a consumer. Throws a TypeError where it is none. */
export class Delivery {
  /** Stream sequence. */
  readonly seq: number;
  /** Running number of the consumer's deliveries since it was made or wound: 1, 2, 3 … */
  readonly deliverySeq: number;
  /** When the stream stored it, in ms. */
  readonly storedMs: number;
  /** What the consumer had left to deliver. */
  readonly pending: number;
  /** Header block and payload, as stored. */
  readonly raw: Buffer;
  /** Length of the header block in `raw`; 0 where there is none. */
  readonly headerLength: number;
  readonly #message: Msg;

  constructor(message: Msg) {
    const { _rdata: bytes, _msg: parsed } = message as Inside;
    const first = readNumbers(parsed?.reply ?? Buffer.from(message.reply ?? ""));
    if (first === 0) throw new TypeError(`${message.subject} was not delivered by a consumer`);
    this.seq = numbers[first] as number;
    this.deliverySeq = numbers[first + 1] as number;
    this.storedMs = Math.floor((numbers[first + 2] as number) / 1e6);
    this.pending = numbers[first + 3] as number;
    this.#message = message;
    if (bytes !== undefined && parsed?.hdr !== undefined) {
      this.raw = asBuffer(bytes);
      this.headerLength = Math.max(0, parsed.hdr);
    } else {
      const block = message.headers === undefined ? noBytes : headerBytes(message.headers);
      this.raw = Buffer.concat([block, message.data]);
      this.headerLength = block.byteLength;
    }
  }

  get natsSubject(): string {
    return this.#message.subject;
  }

  get data(): Buffer {
    return this.raw.subarray(this.headerLength);
  }

  /** With ack policy `all` for every earlier delivery as well. */
  ack(): void {
    this.#message.respond(ackBytes);
  }

  /** It takes longer: the ack wait begins anew. */
  working(): void {
    this.#message.respond(workingBytes);
  }

  /** Deliver it again, after so many ms. */
  nak(delayMs = 0): void {
    this.#message.respond(`-NAK ${JSON.stringify({ delay: delayMs * 1e6 })}`);
  }
}

const noBytes = new Uint8Array(0);

function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes; // what a socket gives
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The delivery in a message of the client's own consumers, which wrap one of the connection's. */
export function readDelivery(message: JsMsg): Delivery {
  const { msg } = message as Wrapping;
  if (msg === undefined)
    throw new TypeError("the client's messages do not wrap those of the connection any more");
  return new Delivery(msg);
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
