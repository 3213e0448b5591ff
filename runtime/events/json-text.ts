// JSON text from outside, as bytes. Parsing a deep nest costs a hundred times what its bytes do otherwise (half a
// second for a megabyte), so large text is judged before it is parsed. Pure.
// J1 What is given back is at most as deep as asked. J2 Nothing is thrown.
import { isAscii, isUtf8 } from "node:buffer";

export type Parsed =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "deep" }
  | { readonly kind: "broken"; readonly why: string };

const judgedBytes = 2_048; // below it parsing costs little whatever it holds
const utf8 = new TextDecoder();
const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Parses UTF-8 text (RFC 8259) that nests `levels` deep at most, and begins at byte `from`. */
export function parseJson(bytes: Uint8Array, levels: number, from = 0): Parsed {
  if (bytes.byteLength - from > judgedBytes && isDeep(bytes, levels, from)) return { kind: "deep" };
  try {
    const value: unknown = JSON.parse(textOf(bytes, from));
    return withinDepth(value, levels) ? { kind: "value", value } : { kind: "deep" };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { kind: "broken", why: isUtf8(bytes.subarray(from)) ? why : "it is not UTF-8" };
  }
}

// Most is plain ASCII, which needs no decoder. What is no UTF-8 is taken for empty text, which is no JSON.
function textOf(bytes: Uint8Array, from: number): string {
  if (isAscii(bytes)) return asBuffer(bytes).toString("latin1", from);
  const rest = bytes.subarray(from);
  return isUtf8(rest) ? utf8.decode(rest) : "";
}

function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether brackets outside of strings nest deeper; text that is no JSON may seem to. */
function isDeep(bytes: Uint8Array, levels: number, from: number): boolean {
  let depth = 0;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte === quote) at = endOfString(bytes, at);
    else if (byte === openBracket || byte === openBrace) {
      if (++depth > levels) return true;
    } else if (byte === closeBracket || byte === closeBrace) depth--;
  }
  return false;
}

function endOfString(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(quote, from + 1); at >= 0; at = bytes.indexOf(quote, at + 1)) {
    let before = at;
    while (bytes[before - 1] === backslash) before--;
    if ((at - before) % 2 === 0) return at;
  }
  return bytes.length;
}

/** Whether a decoded value is at most this many levels deep. */
export function withinDepth(value: unknown, levels: number): boolean {
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return true;
  if (levels === 0) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (!withinDepth(item, levels - 1)) return false;
    return true;
  }
  for (const name in value) {
    if (!withinDepth((value as Record<string, unknown>)[name], levels - 1)) return false;
  }
  return true;
}
