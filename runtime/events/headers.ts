// Header text on the wire: parsing a NATS header block, and CloudEvents attribute values in headers
// (percent-encoded, raw UTF-8 or latin-1: other SDKs send all three). Pure.
// Header text is kept as latin-1, one character a byte, until an attribute is read from it.

/** Lower-case name to its values, each in latin-1: one character a byte. */
export type HeaderFields = ReadonlyMap<string, readonly string[]>;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Parses the bytes of a NATS header block (`NATS/1.0\r\nname: value\r\n…\r\n\r\n`). */
export function parseHeaderBlock(block: Uint8Array): HeaderFields {
  const fields = new Map<string, string[]>();
  const text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString("latin1");
  let at = text.indexOf("\r\n") + 2;
  while (at > 1 && at < text.length) {
    const end = text.indexOf("\r\n", at);
    if (end <= at) break;
    const colon = text.indexOf(":", at);
    if (colon > at && colon < end) {
      const name = text.slice(at, colon).toLowerCase();
      const value = withoutBlanks(text.slice(colon + 1, end));
      const values = fields.get(name);
      if (values === undefined) fields.set(name, [value]);
      else values.push(value);
    }
    at = end + 2;
  }
  return fields;
}

/** Header fields of raw pairs as HTTP servers and clients hold them; text is latin-1. */
export function headerFields(pairs: Iterable<readonly [string, string]>): HeaderFields {
  const fields = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    const values = fields.get(name.toLowerCase());
    if (values === undefined) fields.set(name.toLowerCase(), [withoutBlanks(value)]);
    else values.push(withoutBlanks(value));
  }
  return fields;
}

/** Header text without the blanks around it. */
// Not trim(): it takes U+00A0 for a blank, which in latin-1 is the second byte of many a UTF-8 letter ("à").
export function withoutBlanks(text: string): string {
  // By hand: /[ \t]+$/ takes seconds for 60,000 blanks that do not stand at the end.
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

const isBlank = (code: number) => code === 32 || code === 9;

/**
 * Reads an attribute value from header text: UTF-8 or else latin-1, unquoted, percent-decoded (CloudEvents HTTP
 * binding, section 3.1.3.2). Undefined where percent-encoded bytes are not UTF-8: the specification wants them refused.
 */
export function decodeAttribute(raw: string): string | undefined {
  if (plainText.test(raw)) return raw;
  const text = unquoted(readable(raw));
  // A per cent sign without two digits is one of a producer that does not encode.
  if (!text.includes("%") || /%(?![0-9A-Fa-f]{2})/.test(text)) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function readable(raw: string): string {
  try {
    return utf8.decode(Buffer.from(raw, "latin1"));
  } catch {
    return raw;
  }
}

function unquoted(text: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/s.exec(text);
  return quoted?.[1] === undefined ? text : quoted[1].replace(/\\(.)/gs, "$1");
}

/** Writes an attribute value as header text (CloudEvents HTTP binding, section 3.1.3.2). */
export function encodeAttribute(value: string): string {
  if (safeText.test(value)) return value;
  let out = "";
  for (const char of value) {
    out += safeText.test(char) ? char : percent(char);
  }
  return out;
}

function percent(char: string): string {
  let out = "";
  for (const byte of Buffer.from(char, "utf8")) {
    out += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

const plainText = /^(?!")[\x20-\x24\x26-\x7e]*$/; // ASCII without the per cent sign, not quoted
const safeText = /^[\x21\x23\x24\x26-\x7e]*$/; // printable ASCII without space, quote and per cent
