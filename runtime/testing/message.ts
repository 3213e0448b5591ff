// An event as the bytes it would be on the wire. Each handler decodes its own copy, as in the pipeline, so what
// JSON cannot hold is lost here too, and a handler that changes its event changes nobody else's.
import assert from "node:assert/strict";
import {
  type CloudEvent,
  decodeMessage,
  EddyError,
  type EncodedMessage,
  encodeMessage,
  parseHeaderBlock,
} from "../events/index.ts";

export type Message = EncodedMessage;

/** @throws EddyError where no binding would take the event. */
export function toMessage(event: CloudEvent): Message {
  const message = encodeMessage(event);
  const decoded = decode(message);
  if (decoded.ok) return message;
  const { code, message: text, attribute } = decoded.fault;
  throw new EddyError(code, text, attribute === undefined ? {} : { attribute });
}

export function toEvent(message: Message): CloudEvent {
  const decoded = decode(message);
  assert(decoded.ok, "a message is only made of an event that decodes");
  return decoded.event;
}

function decode({ headerLines, data }: Message) {
  return decodeMessage(
    parseHeaderBlock(Buffer.from(`NATS/1.0\r\n${headerLines}\r\n`, "latin1")),
    data,
  );
}
