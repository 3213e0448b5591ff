// Data outside of its event (CloudEvents' extension `dataref`, the claim check): the references that the runtime makes,
// and an event with its data taken out and put back. Pure.
// D1 Only what has the form of our own references is ever followed; another `dataref` is an attribute like all others.
// D2 A reference names its event's identity and the digest of its bytes: it is good for no other event, and whoever
// knows it without being given it knows the data already. D3 Where data is inside, a reference is not looked at.
import { hash } from "node:crypto";
import { encodeData } from "./data.ts";
import type { CloudEvent } from "./event.ts";
import { decodeJsonEvent } from "./json-format.ts";
import { type EncodedMessage, encodeMessage, structuredContentType } from "./nats-binding.ts";

type Identity = Pick<CloudEvent, "source" | "id">;

/** Where the data of an event is, and what it has to be. */
export interface DataRef {
  readonly bucket: string;
  /** The object's name: of the event's identity and of the bytes. */
  readonly name: string;
  readonly bytes: number;
  /** SHA-256, base64url. */
  readonly digest: string;
}

/** A message whose data goes elsewhere. */
export interface Claim {
  /** The event without its data, and with the reference. */
  readonly message: EncodedMessage;
  readonly ref: DataRef;
  readonly data: Uint8Array;
}

const prefix = "urn:eddyline:data:";
const form =
  /^urn:eddyline:data:([A-Za-z0-9_-]{1,64}_data):([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43}):(\d{1,15})$/;
const noData = new Uint8Array(0);

/** The bucket that holds the data of events of a home stream. */
export function dataBucketOf(home: string): string {
  return `${home}_data`;
}

/** Whether the event's data is outside, by a reference of ours. */
export function isAway({ extensions: { dataref }, data }: CloudEvent): boolean {
  if (dataref === undefined) return false;
  return data === undefined && typeof dataref === "string" && dataref.startsWith(prefix);
}

/** The reference of such an event; undefined where it is broken, or made for another event. */
export function datarefOf(event: CloudEvent): DataRef | undefined {
  const match = form.exec(String(event.extensions.dataref));
  const [, bucket = "", owner = "", digest = "", bytes = ""] = match ?? [];
  if (match === null || owner !== hashIdentity(event)) return undefined;
  return { bucket, name: `${owner}.${digest}`, bytes: Number(bytes), digest };
}

export function digestOf(data: Uint8Array): string {
  return hash("sha256", data, "base64url");
}

/** Names of the objects that stored bytes refer to, whatever encloses them. */
export function namesIn(bytes: Buffer): string[] {
  const names: string[] = [];
  for (let at = bytes.indexOf(prefix); at >= 0; at = bytes.indexOf(prefix, at + 1)) {
    const text = bytes.toString("latin1", at, at + textMax);
    const name = /^urn:eddyline:data:[A-Za-z0-9_-]+:([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+):/.exec(text);
    if (name?.[1] !== undefined) names.push(name[1]);
  }
  return names;
}

/** Longer than any reference of ours. */
export const textMax = 256;

/** Takes the data out of a message; undefined where it has none, or has a reference of another kind. */
export function takeOut(
  message: EncodedMessage,
  identity: Identity,
  bucket: string,
): Claim | undefined {
  return message.headerLines.startsWith("ce-specversion:")
    ? outOfBinary(message, identity, bucket)
    : outOfStructured(message, identity, bucket);
}

function outOfBinary(
  { headerLines, data }: EncodedMessage,
  identity: Identity,
  bucket: string,
): Claim | undefined {
  if (data.byteLength === 0 || headerLines.includes("\r\nce-dataref:")) return undefined;
  const ref = referenceTo(data, identity, bucket);
  const lines = `${headerLines}ce-dataref: ${textOf(ref)}\r\n`;
  return { message: { headerLines: lines, data: noData }, ref, data };
}

function outOfStructured(
  { data: envelope }: EncodedMessage,
  identity: Identity,
  bucket: string,
): Claim | undefined {
  const decoded = decodeJsonEvent(envelope);
  if (!decoded.ok) return undefined;
  const { extensions, data, datacontenttype = "application/json", ...rest } = decoded.event;
  if (data === undefined || extensions.dataref !== undefined) return undefined;
  const bytes = encodeData(data, datacontenttype);
  const ref = referenceTo(bytes, identity, bucket);
  const more = { ...extensions, dataref: textOf(ref) };
  const event = { ...rest, datacontenttype, extensions: more, data: undefined };
  return { message: encodeMessage(event), ref, data: bytes };
}

/** The event as if its data had always been inside. */
export function putBack(event: CloudEvent, data: unknown): CloudEvent {
  const { dataref: _, ...extensions } = event.extensions;
  return { ...event, extensions, data };
}

/** The message of such an event, from the bytes of its data: those of JSON are not written anew. */
export function messageWith(event: CloudEvent, bytes: Uint8Array): EncodedMessage {
  const { headerLines } = encodeMessage({ ...event, data: undefined });
  if (headerLines.startsWith(`content-type: ${structuredContentType}`)) return encodeMessage(event);
  return { headerLines, data: bytes };
}

function referenceTo(data: Uint8Array, identity: Identity, bucket: string): DataRef {
  const digest = digestOf(data);
  const name = `${hashIdentity(identity)}.${digest}`;
  return { bucket, name, bytes: data.byteLength, digest };
}

function textOf({ bucket, name, bytes }: DataRef): string {
  return `${prefix}${bucket}:${name}:${bytes}`;
}

function hashIdentity({ source, id }: Identity): string {
  return hash("sha256", JSON.stringify([source, id]), "base64url");
}
