// CloudEvents' HTTP binding 1.0.2: binary, structured and batched mode. Pure: headers and body in, events or one
// fault of the request out. A batch is all or nothing.
import { bounds, type Decoded, type Fault, refuse } from "./attributes.ts";
import type { CloudEvent } from "./event.ts";
import { type HeaderFields, headerFields } from "./headers.ts";
import { decodeJsonEvent, envelopeLevels, fromJsonEnvelope } from "./json-format.ts";
import { parseJson } from "./json-text.ts";
import { decodeBinary } from "./nats-binding.ts";

export type DecodedRequest =
  | { readonly ok: true; readonly events: readonly CloudEvent[] }
  /** `index` is set where one event of a batch is to blame. */
  | { readonly ok: false; readonly fault: Fault; readonly index?: number };

/**
 * Decodes a request. Headers are raw pairs in latin-1, one for each header line, as node's `rawHeaders` has them:
 * a joined list would hide that an attribute was given twice.
 */
export function decodeRequest(
  headers: Iterable<readonly [string, string]>,
  body: Uint8Array,
): DecodedRequest {
  const fields = headerFields(headers);
  const contentTypes = fields.get("content-type") ?? [];
  if (contentTypes.length > 1) {
    return unsupported(`content-type is given ${contentTypes.length} times`);
  }
  const contentType = contentTypes[0] || undefined;
  const media = (contentType?.split(";", 1)[0] ?? "").trim().toLowerCase();
  if (media.startsWith("application/cloudevents")) return decodeEnvelopes(media, body);
  if (!hasAttributes(fields)) {
    return unsupported(
      "the request is no CloudEvent: it has neither ce- headers (binary mode) nor the content type " +
        `application/cloudevents+json (structured) or application/cloudevents-batch+json (batch), but ${contentType ?? "none"}`,
    );
  }
  return single(decodeBinary(fields, body, contentType));
}

function decodeEnvelopes(media: string, body: Uint8Array): DecodedRequest {
  switch (media) {
    case "application/cloudevents":
    case "application/cloudevents+json":
      return single(decodeJsonEvent(body));
    case "application/cloudevents-batch":
    case "application/cloudevents-batch+json":
      return decodeBatch(body);
    default:
      return unsupported(`no codec for the event format ${media}; JSON is understood`);
  }
}

function decodeBatch(body: Uint8Array): DecodedRequest {
  const parsed = parseJson(body, envelopeLevels + 1);
  if (parsed.kind === "broken")
    return refuse("EDDY_EVENT_MALFORMED", `the batch is not JSON: ${parsed.why}`);
  if (parsed.kind === "deep") {
    const text = `an event of the batch is nested deeper than ${bounds.depthMax} levels`;
    return refuse("EDDY_EVENT_TOO_DEEP", text, "data");
  }
  const batch = parsed.value;
  if (!Array.isArray(batch)) return refuse("EDDY_EVENT_MALFORMED", "the batch is not a JSON array");
  const events: CloudEvent[] = [];
  for (const [index, envelope] of batch.entries()) {
    const decoded = fromJsonEnvelope(envelope);
    if (!decoded.ok) {
      const message = `event ${index} of the batch: ${decoded.fault.message}`;
      return { ok: false, fault: { ...decoded.fault, message }, index };
    }
    events.push(decoded.event);
  }
  return { ok: true, events };
}

function hasAttributes(fields: HeaderFields): boolean {
  for (const name of fields.keys()) if (name.startsWith("ce-")) return true;
  return false;
}

function single(decoded: Decoded): DecodedRequest {
  return decoded.ok ? { ok: true, events: [decoded.event] } : decoded;
}

function unsupported(message: string): DecodedRequest {
  return refuse("EDDY_EVENT_CONTENT_TYPE", message, "datacontenttype");
}
