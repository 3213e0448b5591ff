// Header blocks as bytes: the client encodes headers one by one, which costs 1 to 1.6 µs each.
import { headers, type MsgHdrs } from "./client.ts";

const encoder = new TextEncoder();

/** Headers for `nc.publish` from ready-made lines, each `name: value\r\n`. */
export function wireHeaders(lines: string): MsgHdrs {
  const bytes = encoder.encode(`NATS/1.0\r\n${lines}\r\n`);
  return Object.assign(headers(), { encode: () => bytes });
}

/** The block of headers that the client has parsed. */
export function headerBytes(fields: MsgHdrs): Uint8Array {
  let lines = "NATS/1.0\r\n";
  for (const name of fields.keys()) {
    for (const value of fields.values(name)) lines += `${name}: ${value}\r\n`;
  }
  return encoder.encode(`${lines}\r\n`);
}
