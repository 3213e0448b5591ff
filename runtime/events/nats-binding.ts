// CloudEvents' NATS binding 1.0.3-wip: binary (`ce-` headers), structured JSON, and structured JSON without
// any header as other SDKs send it. Pure: bytes in, event or fault out.
import { type Decoded, makeEvent, refuse } from "./attributes.ts";
import { decodeData, encodeData } from "./data.ts";
import type { CloudEvent } from "./event.ts";
import {
  decodeAttribute,
  encodeAttribute,
  type HeaderFields,
  parseHeaderBlock,
} from "./headers.ts";
import { decodeJsonEvent, toJsonEnvelope } from "./json-format.ts";
import { decodePlainBinary } from "./plain-binary.ts";

export const structuredContentType = "application/cloudevents+json";

/** nats-server refuses messages with more than 64 kB of headers; some stay free for the runtime's own. */
const headerBytesMax = 60_000;

/** Decodes a message as it is stored: its first `headerLength` bytes are the header block, 0 where it has none. */
export function decodeStored(raw: Buffer, headerLength: number): Decoded {
  if (headerLength === 0) return decodeJsonEvent(raw);
  const plain = decodePlainBinary(raw, headerLength);
  if (plain !== undefined) return { ok: true, event: plain };
  return decodeMessage(parseHeaderBlock(raw.subarray(0, headerLength)), raw.subarray(headerLength));
}

/** Decodes a message. `fields` is undefined where it had no header at all. */
export function decodeMessage(fields: HeaderFields | undefined, data: Uint8Array): Decoded {
  if (fields === undefined) return decodeJsonEvent(data);
  const contentTypes = fields.get("content-type") ?? [];
  if (contentTypes.length > 1) {
    const text = `content-type is given ${contentTypes.length} times`;
    return refuse("EDDY_EVENT_CONTENT_TYPE", text, "datacontenttype");
  }
  const contentType = contentTypes[0] || undefined;
  if (contentType?.toLowerCase().startsWith("application/cloudevents")) {
    if (/^application\/cloudevents(?:\+json)?\s*(?:;|$)/i.test(contentType))
      return decodeJsonEvent(data);
    return refuse("EDDY_EVENT_CONTENT_TYPE", `no codec for ${contentType}`, "datacontenttype");
  }
  if (!fields.has("ce-specversion") && !fields.has("ce-id") && !fields.has("ce-type")) {
    return decodeJsonEvent(data);
  }
  return decodeBinary(fields, data, contentType);
}

/** Binary mode: one header an attribute. Shared with the HTTP binding, whose headers have the same names. */
export function decodeBinary(
  fields: HeaderFields,
  data: Uint8Array,
  contentType: string | undefined,
): Decoded {
  const attributes = new Map<string, unknown>();
  for (const [name, values] of fields) {
    if (!name.startsWith("ce-")) continue;
    const attribute = name.slice(3);
    if (values.length > 1) {
      return refuse(
        "EDDY_EVENT_ATTRIBUTE",
        `${attribute} is given ${values.length} times`,
        attribute,
      );
    }
    const value = decodeAttribute(values[0] ?? "");
    if (value === undefined) {
      const text = `${attribute} is percent-encoded, but not as UTF-8`;
      return refuse("EDDY_EVENT_ATTRIBUTE", text, attribute);
    }
    attributes.set(attribute, value);
  }
  const type = contentType ?? attributes.get("datacontenttype");
  if (typeof type === "string") attributes.set("datacontenttype", type);
  const decoded = decodeData(data, typeof type === "string" ? type : undefined);
  return decoded.ok ? makeEvent(attributes, decoded.data) : decoded;
}

/** A message to publish: header lines without `NATS/1.0`, each ended by CR LF, and the payload. */
export interface EncodedMessage {
  readonly headerLines: string;
  readonly data: Uint8Array;
}

/** Encodes an event: binary, or structured where headers cannot say it. Throws a TypeError as `encodeData` does. */
export function encodeMessage(event: CloudEvent): EncodedMessage {
  const contentType = event.datacontenttype ?? "application/json";
  let lines = `ce-specversion: 1.0\r\nce-id: ${encodeAttribute(event.id)}\r\nce-source: ${encodeAttribute(event.source)}\r\nce-type: ${encodeAttribute(event.type)}\r\n`;
  if (event.subject !== undefined) lines += `ce-subject: ${encodeAttribute(event.subject)}\r\n`;
  if (event.time !== undefined) lines += `ce-time: ${event.time}\r\n`;
  if (event.dataschema !== undefined) {
    lines += `ce-dataschema: ${encodeAttribute(event.dataschema)}\r\n`;
  }
  for (const name in event.extensions) {
    lines += `ce-${name}: ${encodeAttribute(String(event.extensions[name]))}\r\n`;
  }
  if (event.data !== undefined || event.datacontenttype !== undefined) {
    lines += `content-type: ${contentType}\r\n`;
  }
  if (lines.length <= headerBytesMax && !cloudEventsType.test(contentType)) {
    return { headerLines: lines, data: encodeData(event.data, contentType) };
  }
  return {
    headerLines: `content-type: ${structuredContentType}\r\n`,
    data: Buffer.from(JSON.stringify(toJsonEnvelope(event)), "utf8"),
  };
}

// An event whose data is an event: as a content type it would say that the message is structured.
const cloudEventsType = /^application\/cloudevents/i;
