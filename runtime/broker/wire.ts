// Raw access to what the client parses for us: header blocks in and out, as bytes.
// The client decodes headers as UTF-8 and encodes them one by one: latin-1 of other SDKs would be lost
// (two ids could become one), and each encoding costs 1 to 1.6 µs.
import { headers, type JsMsg, type MsgHdrs } from "./client.ts";

const encoder = new TextEncoder();

/** Headers for `nc.publish` from ready-made lines, each `name: value\r\n`. */
export function wireHeaders(lines: string): MsgHdrs {
  const bytes = encoder.encode(`NATS/1.0\r\n${lines}\r\n`);
  return Object.assign(headers(), { encode: () => bytes });
}

/** The bytes of a message's header block, or undefined where it has none. */
export function headerBlock(message: JsMsg): Uint8Array | undefined {
  const raw = rawBlock(Reflect.get(message, "msg"));
  if (raw !== "unknown") return raw;
  return message.headers === undefined ? undefined : reencode(message.headers);
}

// The client keeps the block in front of the payload, in one buffer; `hdr` is its length, -1 where there is none.
// Asking it for `headers` would parse them all, which costs more than everything else that is done with an event.
function rawBlock(inner: unknown): Uint8Array | undefined | "unknown" {
  if (typeof inner !== "object" || inner === null) return "unknown";
  const bytes: unknown = Reflect.get(inner, "_rdata");
  const header: unknown = Reflect.get(inner, "_msg");
  if (typeof header !== "object" || header === null) return "unknown";
  const length: unknown = Reflect.get(header, "hdr");
  if (typeof length !== "number") return "unknown";
  if (length <= 0) return undefined;
  return bytes instanceof Uint8Array ? bytes.subarray(0, length) : "unknown";
}

function reencode(fields: MsgHdrs): Uint8Array {
  let lines = "NATS/1.0\r\n";
  for (const name of fields.keys()) {
    for (const value of fields.values(name)) lines += `${name}: ${value}\r\n`;
  }
  return encoder.encode(`${lines}\r\n`);
}
