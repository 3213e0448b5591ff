// Header blocks as bytes: the client encodes headers one by one, which costs 1 to 1.6 µs each.
import { headers, type Msg, type MsgHdrs } from "./client.ts";

/** Headers for `nc.publish` and `nc.request` from ready-made lines, each `name: value\r\n` in ASCII. */
export function wireHeaders(lines: string): MsgHdrs {
  const bytes = blockOf(lines);
  return Object.assign(headers(), { encode: () => bytes });
}

let block: Uint8Array = blockOf("");
const reused: MsgHdrs = Object.assign(headers(), { encode: () => block });

/** The same for `nc.publish` alone, which encodes before it returns: one object for all. */
export function publishHeaders(lines: string): MsgHdrs {
  block = blockOf(lines);
  return reused;
}

function blockOf(lines: string): Uint8Array {
  return Buffer.from(`NATS/1.0\r\n${lines}\r\n`, "latin1");
}

/** The block of headers that the client has parsed. */
export function headerBytes(fields: MsgHdrs): Uint8Array {
  let lines = "NATS/1.0\r\n";
  for (const name of fields.keys()) {
    for (const value of fields.values(name)) lines += `${name}: ${value}\r\n`;
  }
  return Buffer.from(`${lines}\r\n`, "utf8");
}

/** A message's header block and payload as they came, where the client keeps them. */
export function rawBytes(message: Msg): Uint8Array | undefined {
  return (message as Msg & { readonly _rdata?: Uint8Array })._rdata;
}
