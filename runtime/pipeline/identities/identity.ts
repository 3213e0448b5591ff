// Whose identity a stored message bears, read as cheaply as it can be told for sure.
import { type Broker, readMessage } from "../../broker/index.ts";
import {
  type CloudEvent,
  decodeAttribute,
  decodeStored,
  withoutBlanks,
} from "../../events/index.ts";

/** CloudEvents 1.0, section 3.1: what makes an event the same as another one. */
export interface Identity {
  readonly source: string;
  readonly id: string;
}

/** The event in a message, or undefined where there is none. */
export function eventOf(raw: Buffer, headerLength: number): CloudEvent | undefined {
  const decoded = decodeStored(raw, headerLength);
  return decoded.ok ? decoded.event : undefined;
}

/**
 * The identity of a message. Binary mode names it in two headers, which is enough to look it up; whether the rest
 * makes it an event is asked only on a hit. In structured mode the envelope counts, whatever headers say.
 */
export function peekIdentity(raw: Buffer, headerLength: number): Identity | undefined {
  if (headerLength === 0) return eventOf(raw, headerLength);
  const text = raw.toString("latin1", 0, headerLength);
  if (structured.test(text)) return eventOf(raw, headerLength);
  const id = decodeAttribute(headerText(text, "\r\nce-id: "));
  const source = decodeAttribute(headerText(text, "\r\nce-source: "));
  return id && source ? { id, source } : eventOf(raw, headerLength);
}

/** The identity at a position, read from its stream; undefined where the log does not have it any more. */
export async function identityAt(
  broker: Broker,
  stream: string,
  seq: number,
): Promise<Identity | undefined> {
  const found = await readMessage(broker.nc, stream, { seq });
  if (found === undefined) return undefined;
  const headers = found.headers ?? new Uint8Array(0);
  return eventOf(Buffer.concat([headers, found.data]), headers.byteLength);
}

const structured = /application\/cloudevents/i;

// Header names as nearly everybody writes them; any other spelling takes the long way.
function headerText(text: string, name: string): string {
  const at = text.indexOf(name);
  if (at < 0) return "";
  const from = at + name.length;
  return withoutBlanks(text.slice(from, text.indexOf("\r\n", from)));
}
