// Binary mode as nearly every producer writes it: ASCII headers in lower case, each once. Decoded in one pass, because
// this is done for every event. Pure.
// P1 What it decodes is what the whole binding would decode. P2 All that is unusual, and every fault, is left to it.
import { bounds, isExtensionName, isMediaType, isRfc3339 } from "./attributes.ts";
import { decodePayload } from "./data.ts";
import type { AttributeValue, CloudEvent } from "./event.ts";

type Draft = { -readonly [Name in keyof CloudEvent]: CloudEvent[Name] };

/** ASCII without percent signs and quotes: values that are what they look like. */
const plain = /^[\x20\x21\x23\x24\x26-\x7e\r\n]*$/;
const versionLine = "NATS/1.0\r\n";
const lineFeed = 10;
const space = 32;
const lowerC = 99;
const noExtensions: Readonly<Record<string, AttributeValue>> = Object.freeze({});

/** The event in a message whose first `headerLength` bytes are its header block; undefined where it is not plain. */
export function decodePlainBinary(raw: Buffer, headerLength: number): CloudEvent | undefined {
  if (headerLength > bounds.attributeBytesMax) return undefined;
  const text = raw.toString("latin1", 0, headerLength);
  if (!text.startsWith(versionLine) || !plain.test(text)) return undefined;
  const draft: Draft = {
    specversion: "1.0",
    id: "",
    source: "",
    type: "",
    extensions: noExtensions,
    data: undefined,
  };
  if (!readAttributes(text, draft)) return undefined;
  if (headerLength < raw.length) {
    const decoded = decodePayload(raw, headerLength, draft.datacontenttype);
    if (!decoded.ok) return undefined;
    draft.data = decoded.data;
  }
  return draft;
}

// False where a line is not as plain as the rest assumes, or an attribute is missing.
function readAttributes(text: string, draft: Draft): boolean {
  const extensions: Record<string, AttributeValue> = {};
  let extended = 0;
  let versions = 0;
  for (let at = versionLine.length; ; ) {
    const end = text.indexOf("\r", at);
    if (end < 0 || text.charCodeAt(end + 1) !== lineFeed) return false;
    if (end === at) break;
    if ((text.charCodeAt(at) | space) === lowerC) {
      const colon = text.indexOf(":", at);
      const value = plainValue(text, colon, end);
      if (value === undefined) return false;
      const name = nameOf(text, at, colon);
      if (name === "specversion") {
        if (value !== "1.0" || ++versions > 1) return false;
      } else if (name !== "extension") {
        if (!setCore(draft, name, value)) return false;
      } else {
        const own = text.slice(at + 3, colon);
        if (!isExtensionName(own) || own in extensions) return false;
        if (++extended > bounds.extensionsMax) return false;
        extensions[own] = value;
      }
    }
    at = end + 2;
  }
  if (extended > 0) draft.extensions = extensions;
  return versions === 1 && draft.id !== "" && draft.source !== "" && draft.type !== "";
}

// One blank in front and none behind, as everybody writes it.
function plainValue(text: string, colon: number, end: number): string | undefined {
  if (colon < 0 || colon > end - 3 || text.charCodeAt(colon + 1) !== space) return undefined;
  if (text.charCodeAt(colon + 2) === space || text.charCodeAt(end - 1) === space) return undefined;
  return text.slice(colon + 2, end);
}

type Name =
  | "specversion"
  | "id"
  | "source"
  | "type"
  | "subject"
  | "time"
  | "dataschema"
  | "content-type"
  | "extension"
  | "unusual";

function nameOf(text: string, at: number, colon: number): Name {
  if (!text.startsWith("ce-", at)) {
    return colon - at === 12 && text.startsWith("content-type", at) ? "content-type" : "unusual";
  }
  const from = at + 3;
  switch (colon - from) {
    case 2:
      if (text.startsWith("id", from)) return "id";
      break;
    case 4:
      if (text.startsWith("type", from)) return "type";
      if (text.startsWith("time", from)) return "time";
      if (text.startsWith("data", from)) return "unusual";
      break;
    case 6:
      if (text.startsWith("source", from)) return "source";
      break;
    case 7:
      if (text.startsWith("subject", from)) return "subject";
      break;
    case 10:
      if (text.startsWith("dataschema", from)) return "dataschema";
      break;
    case 11:
      if (text.startsWith("specversion", from)) return "specversion";
      break;
    case 15:
      if (text.startsWith("datacontenttype", from)) return "unusual";
      break;
  }
  return "extension";
}

function setCore(draft: Draft, name: Exclude<Name, "specversion" | "extension">, value: string) {
  switch (name) {
    case "id":
      if (draft.id !== "") return false;
      draft.id = value;
      return true;
    case "source":
      if (draft.source !== "") return false;
      draft.source = value;
      return true;
    case "type":
      if (draft.type !== "" || value.length > bounds.typeCharsMax) return false;
      draft.type = value;
      return true;
    case "subject":
      if (draft.subject !== undefined) return false;
      draft.subject = value;
      return true;
    case "time":
      if (draft.time !== undefined || !isRfc3339(value)) return false;
      draft.time = value;
      return true;
    case "dataschema":
      if (draft.dataschema !== undefined) return false;
      draft.dataschema = value;
      return true;
    case "content-type":
      if (draft.datacontenttype !== undefined || !isMediaType(value)) return false;
      if (cloudEventsType.test(value)) return false;
      draft.datacontenttype = value;
      return true;
    case "unusual":
      return false;
  }
}

const cloudEventsType = /^application\/cloudevents/i;
