// How text from outside becomes part of a NATS subject or a KV key. The only maker of tokens.
// S1 A token holds only [A-Za-z0-9_-] and `=XX` escapes: legal in subjects and KV keys alike.
// S2 Different texts have different tokens. Encoding is reversible up to tokenCharsMax; above it, and for what has
// no UTF-8 (an unpaired surrogate), a token ends in a digest.
import { createHash } from "node:crypto";

/** Text that is legal as exactly one NATS subject token. Only `token()` makes one. */
export type Token = string & { readonly brand: unique symbol };

/** Longest token in characters: nats-server refuses a protocol line above 4,096 bytes. */
export const tokenCharsMax = 200;

const plain = /^[A-Za-z0-9_-]+$/;
const unpaired = /\p{Surrogate}/u;
const encoder = new TextEncoder();

/** Encodes any text as one token: bytes outside `[A-Za-z0-9_-]` become `=XX`, the empty text `=`. */
export function token(text: string): Token {
  if (plain.test(text) && text.length <= tokenCharsMax) return text as Token;
  if (text === "") return "=" as Token;
  let out = "";
  for (const byte of encoder.encode(text)) out += escaped[byte];
  if (out.length <= tokenCharsMax && !unpaired.test(text)) return out as Token;
  const digest = createHash("sha256").update(text, "utf16le").digest("hex").slice(0, 32);
  return `${out.slice(0, 150).replace(/=.?$/, "")}=_${digest}` as Token;
}

/** The text of a token, or undefined where it was too long to be kept whole or is none of ours. */
export function untoken(encoded: string): string | undefined {
  if (plain.test(encoded)) return encoded;
  if (encoded === "=") return "";
  if (!/^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/.test(encoded)) return undefined;
  try {
    return decodeURIComponent(encoded.replaceAll("=", "%"));
  } catch {
    return undefined;
  }
}

/** The tokens of an event type: its dots separate subject tokens, so that consumers filter by type. */
export function typeTokens(type: string): Token[] {
  return type.split(".").map(token);
}

/** Joins a literal first token and encoded ones to a subject. */
export function natsSubject(root: string, ...tokens: readonly Token[]): string {
  return tokens.length === 0 ? root : `${root}.${tokens.join(".")}`;
}

/** The subjects of all events. */
export const allEvents = "events.>";

/** Whether an event stands there, and no record of the runtime. */
export function isEventSubject(natsSubject: string): boolean {
  return natsSubject.startsWith("events.");
}

/** `events.<type>.<key>`: where an event of this type and key stands in the home stream. */
export function eventSubject(type: string, key: string): string {
  return `${subjectOfType(type)}.${token(key)}`;
}

/** `events.<type>`: what the subjects of all events of a type begin with. */
export function subjectOfType(type: string): string {
  const known = subjects.get(type);
  if (known !== undefined) return known;
  const made = natsSubject("events", ...typeTokens(type));
  if (subjects.size >= subjectsMax) subjects.clear(); // types come from outside as well
  subjects.set(type, made);
  return made;
}

const subjects = new Map<string, string>();
const subjectsMax = 1_000;

/** The filter for all events of one type. */
export function typeFilter(type: string): string {
  return `${subjectOfType(type)}.*`;
}

/**
 * The narrowest filter that covers all of these types. One filter, never several: several filters
 * make a backlog 10 to 20 times slower on the server, so the pipeline drops the rest itself.
 */
export function narrowestFilter(types: readonly string[]): string {
  const [first, ...rest] = [...new Set(types)].map(typeTokens);
  if (first === undefined) throw new RangeError("a filter needs at least one type");
  if (rest.length === 0) return `${natsSubject("events", ...first)}.*`;
  let shared = 0;
  while (first[shared] !== undefined && rest.every((t) => t[shared] === first[shared])) shared++;
  return `${natsSubject("events", ...first.slice(0, shared))}.>`;
}

const escaped: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  return plain.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
});
