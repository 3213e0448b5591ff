// Event data on the wire: which codec a content type names, bytes to value and back. Pure.
// D1 What decodes is at most bounds.depthMax deep, so that no later walk over it overflows the stack.
import { Packr, Unpackr } from "msgpackr";
import { bounds, type Fault, fault } from "./attributes.ts";
import { parseJson, withinDepth } from "./json-text.ts";
import { judgeMessagePack } from "./msgpack-shape.ts";

export type DataCodec = "json" | "msgpack" | "text" | "bytes";

/** The codec that a `datacontenttype` names (RFC 2046, RFC 6839 suffixes). Absent means JSON. */
export function codecOf(contentType: string | undefined): DataCodec {
  if (contentType === undefined) return "json";
  const known = codecs.get(contentType);
  if (known !== undefined) return known;
  const media = (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
  if (media === "application/json" || media === "text/json" || media.endsWith("+json"))
    return "json";
  if (/^application\/(?:x-|vnd\.)?msgpack$/.test(media) || media.endsWith("+msgpack")) {
    return "msgpack";
  }
  return media.startsWith("text/") ? "text" : "bytes";
}

const codecs: ReadonlyMap<string, DataCodec> = new Map([["application/json", "json"]]);

export type DecodedData =
  | { readonly ok: true; readonly data: unknown }
  | { readonly ok: false; readonly fault: Fault };

/** Decodes data as its content type says; no bytes are no data (`undefined`). */
export function decodeData(bytes: Uint8Array, contentType: string | undefined): DecodedData {
  if (bytes.byteLength === 0) return { ok: true, data: undefined };
  const codec = codecOf(contentType);
  if (codec === "bytes") return { ok: true, data: plainBytes(bytes) };
  if (codec === "json") return decodeJson(bytes, contentType);
  try {
    if (codec === "msgpack") {
      const shape = judgeMessagePack(bytes, bounds.depthMax);
      if (shape.kind === "deep") return tooDeep();
      if (shape.kind === "broken") return undecodable(contentType, shape.why);
    }
    return { ok: true, data: decoders[codec](bytes) };
  } catch (error) {
    return undecodable(contentType, error instanceof Error ? error.message : String(error));
  }
}

/** The same for what stands in a message from byte `from` on: for JSON no view of it is made. */
export function decodePayload(
  raw: Buffer,
  from: number,
  contentType: string | undefined,
): DecodedData {
  if (codecOf(contentType) === "json") return decodeJson(raw, contentType, from);
  return decodeData(raw.subarray(from), contentType);
}

function decodeJson(bytes: Uint8Array, contentType: string | undefined, from = 0): DecodedData {
  const parsed = parseJson(bytes, bounds.depthMax, from);
  if (parsed.kind === "value") return { ok: true, data: parsed.value };
  return parsed.kind === "deep" ? tooDeep() : undecodable(contentType, parsed.why);
}

// Never a Buffer, whose slice() is a view: what a handler gets does not depend on where it came from.
function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function tooDeep() {
  const text = `data is nested deeper than ${bounds.depthMax} levels`;
  return { ok: false, fault: fault("EDDY_EVENT_TOO_DEEP", text, "data") } as const;
}

function undecodable(contentType: string | undefined, why: string) {
  const text = `data is not ${contentType ?? "application/json"}: ${why}`;
  return { ok: false, fault: fault("EDDY_EVENT_DATA", text, "data") } as const;
}

/** Encodes data as its content type says. Throws a TypeError for what the codec cannot hold. */
export function encodeData(data: unknown, contentType: string | undefined): Uint8Array {
  if (data === undefined) return new Uint8Array(0);
  switch (codecOf(contentType)) {
    case "json":
      return encodeJson(data);
    case "msgpack":
      return encodeMessagePack(data);
    case "text":
      if (typeof data !== "string") throw new TypeError(`${contentType} takes a string`);
      return Buffer.from(data, "utf8");
    case "bytes":
      if (!(data instanceof Uint8Array)) throw new TypeError(`${contentType} takes a Uint8Array`);
      return data;
  }
}

// Depth is looked at after the codec: only a codec finds out about circles.
function encodeJson(data: unknown): Uint8Array {
  const text = JSON.stringify(data);
  if (text === undefined) throw new TypeError(`JSON cannot hold a ${typeof data}`);
  if (!withinDepth(data, bounds.depthMax)) throw new TypeError(tooDeep().fault.message);
  return Buffer.from(text, "utf8");
}

function encodeMessagePack(data: unknown): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = packr.pack(data);
  } catch (cause) {
    // a RangeError for a big BigInt, or for a circle
    throw new TypeError(`data cannot be MessagePack: ${String(cause)}`, { cause });
  }
  const shape = judgeMessagePack(bytes, bounds.depthMax);
  if (shape.kind === "deep") throw new TypeError(tooDeep().fault.message);
  if (shape.kind === "broken") throw new TypeError(`data cannot be MessagePack: ${shape.why}`);
  return bytes;
}

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "number" });
const packr = new Packr({ useRecords: false });
const wholeUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const decoders: Record<"msgpack" | "text", (bytes: Uint8Array) => unknown> = {
  msgpack: (bytes) => unpackr.unpack(bytes),
  text: (bytes) => wholeUtf8.decode(bytes),
};
