// CloudEvents JSON event format 1.0: structured mode's envelope, over NATS and HTTP alike. Pure.
import { bounds, type Decoded, makeEvent, refuse } from "./attributes.ts";
import { codecOf, decodeData, encodeData } from "./data.ts";
import type { CloudEvent } from "./event.ts";
import { parseJson, withinDepth } from "./json-text.ts";

/** The envelope is one level, its data may have as many as data anywhere else. */
export const envelopeLevels = bounds.depthMax + 1;

/** Decodes one structured JSON envelope. */
export function decodeJsonEvent(bytes: Uint8Array): Decoded {
  const parsed = parseJson(bytes, envelopeLevels);
  if (parsed.kind === "value") return fromJsonEnvelope(parsed.value);
  if (parsed.kind === "deep") return tooDeep();
  return refuse("EDDY_EVENT_MALFORMED", `the event is not JSON: ${parsed.why}`);
}

/** Makes the event of a parsed envelope (section 3 of the JSON format). */
export function fromJsonEnvelope(envelope: unknown): Decoded {
  if (envelope === null || typeof envelope !== "object" || Array.isArray(envelope)) {
    const batch = Array.isArray(envelope)
      ? ": several in an array are application/cloudevents-batch+json"
      : "";
    return refuse("EDDY_EVENT_MALFORMED", `the event is not a JSON object${batch}`);
  }
  if (!withinDepth(envelope, envelopeLevels)) return tooDeep();
  const attributes = new Map<string, unknown>(Object.entries(envelope));
  const data = attributes.get("data");
  const base64 = attributes.get("data_base64");
  attributes.delete("data");
  attributes.delete("data_base64");
  if (base64 === undefined || base64 === null) return withJsonData(attributes, data);
  if (data !== undefined) {
    return refuse("EDDY_EVENT_MALFORMED", "data and data_base64 exclude each other", "data_base64");
  }
  return withBinaryData(attributes, base64);
}

function tooDeep(): Decoded {
  const text = `the event is nested deeper than ${bounds.depthMax} levels`;
  return refuse("EDDY_EVENT_TOO_DEEP", text, "data");
}

// Section 3.1.1: where datacontenttype is no JSON, the JSON string holds the data's text.
function withJsonData(attributes: Map<string, unknown>, data: unknown): Decoded {
  const contentType = attributes.get("datacontenttype");
  const codec = codecOf(typeof contentType === "string" ? contentType : undefined);
  if (data === undefined || codec === "json" || codec === "msgpack") {
    return makeEvent(attributes, data);
  }
  if (typeof data !== "string") {
    const text = `data must be a string (or data_base64 be given) where datacontenttype is ${contentType}`;
    return refuse("EDDY_EVENT_DATA", text, "data");
  }
  return makeEvent(attributes, codec === "text" ? data : new Uint8Array(Buffer.from(data, "utf8")));
}

function withBinaryData(attributes: Map<string, unknown>, base64: unknown): Decoded {
  if (typeof base64 !== "string" || !isBase64(base64)) {
    return refuse("EDDY_EVENT_DATA", "data_base64 is not base64 text", "data_base64");
  }
  // Bytes without a type are bytes; taken for JSON, the default, they would hardly ever decode.
  if (attributes.get("datacontenttype") == null) {
    attributes.set("datacontenttype", "application/octet-stream");
  }
  const contentType = attributes.get("datacontenttype");
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  const decoded = decodeData(bytes, typeof contentType === "string" ? contentType : undefined);
  return decoded.ok ? makeEvent(attributes, decoded.data) : decoded;
}

function isBase64(text: string): boolean {
  const digits = /^([A-Za-z0-9+/]*)={0,2}$/.exec(text)?.[1];
  return digits !== undefined && digits.length % 4 !== 1;
}

/** The structured JSON envelope of an event. */
export function toJsonEnvelope(event: CloudEvent): Record<string, unknown> {
  const { extensions, data, ...attributes } = event;
  const envelope: Record<string, unknown> = { ...attributes, ...extensions };
  if (data === undefined) return envelope;
  const codec = codecOf(event.datacontenttype);
  if (codec === "json" || codec === "text") envelope.data = data;
  else {
    envelope.data_base64 = Buffer.from(encodeData(data, event.datacontenttype)).toString("base64");
  }
  return envelope;
}
