// Which attributes make a CloudEvent (CloudEvents 1.0, section 3): the one check behind every binding. Pure.
// A fault names the attribute; nothing from outside is thrown.
import { printable } from "./errors.ts";
import type { AttributeValue, CloudEvent } from "./event.ts";

/** Why something from outside is not an event. `attribute` is set where one is to blame. */
export interface Fault {
  readonly code: FaultCode;
  readonly message: string;
  readonly attribute?: string;
}

export type FaultCode =
  | "EDDY_EVENT_MALFORMED" // not an envelope: bad JSON, not an object, both data and data_base64
  | "EDDY_EVENT_ATTRIBUTE" // an attribute is missing, empty, of the wrong type, or out of bounds
  | "EDDY_EVENT_CONTENT_TYPE" // no codec for it
  | "EDDY_EVENT_DATA" // data does not decode as its content type says
  | "EDDY_EVENT_TOO_LARGE" // bytes
  | "EDDY_EVENT_TOO_DEEP"; // nesting

export type Decoded<T = CloudEvent> =
  | { readonly ok: true; readonly event: T }
  | { readonly ok: false; readonly fault: Fault };

/** Bounds on what comes from outside. Types become subjects, so they are shorter than other attributes. */
export const bounds = {
  attributeBytesMax: 16_384,
  typeCharsMax: 255,
  extensionsMax: 64,
  extensionNameCharsMax: 64,
  depthMax: 64,
} as const;

export function fault(code: FaultCode, message: string, attribute?: string): Fault {
  return attribute === undefined ? { code, message } : { code, message, attribute };
}

export function refuse(code: FaultCode, message: string, attribute?: string) {
  return { ok: false, fault: fault(code, message, attribute) } as const;
}

/** Attributes by name as a binding found them, not yet checked; `data` already decoded. */
export type RawAttributes = ReadonlyMap<string, unknown>;

/** Checks attributes and makes the event. */
export function makeEvent(attributes: RawAttributes, data: unknown): Decoded {
  const wrong =
    checkVersion(attributes.get("specversion")) ??
    checkText(attributes, "id", "required") ??
    checkText(attributes, "source", "required") ??
    checkText(attributes, "type", "required") ??
    checkText(attributes, "subject", "optional") ??
    checkText(attributes, "datacontenttype", "optional") ??
    checkText(attributes, "dataschema", "optional") ??
    checkTime(attributes.get("time")) ??
    checkType(attributes.get("type")) ??
    checkContentType(attributes.get("datacontenttype"));
  if (wrong !== undefined) return { ok: false, fault: wrong };
  const extensions: Record<string, AttributeValue> = {};
  let count = 0;
  for (const [name, value] of attributes) {
    if (coreNames.has(name) || value === null || value === undefined) continue;
    const bad = checkExtension(name, value);
    if (bad !== undefined) return { ok: false, fault: bad };
    if (++count > bounds.extensionsMax) {
      return refuse("EDDY_EVENT_ATTRIBUTE", `more than ${bounds.extensionsMax} extensions`, name);
    }
    extensions[name] = value as AttributeValue;
  }
  return { ok: true, event: assemble(attributes, extensions, data) };
}

function assemble(
  attributes: RawAttributes,
  extensions: Record<string, AttributeValue>,
  data: unknown,
): CloudEvent {
  const text = (name: string) => attributes.get(name) as string;
  const event: { -readonly [Name in keyof CloudEvent]: CloudEvent[Name] } = {
    specversion: "1.0",
    id: text("id"),
    source: text("source"),
    type: text("type"),
    extensions,
    data,
  };
  for (const name of optionalNames) {
    const value = text(name);
    if (value !== undefined && value !== null) event[name] = value;
  }
  return event;
}

const optionalNames = ["subject", "time", "datacontenttype", "dataschema"] as const;
const coreNames = new Set(["specversion", "id", "source", "type", ...optionalNames]);

function checkVersion(value: unknown): Fault | undefined {
  if (value === "1.0") return undefined;
  const found = value === undefined ? "it is missing" : `got ${show(value)}`;
  return fault("EDDY_EVENT_ATTRIBUTE", `specversion must be "1.0", ${found}`, "specversion");
}

function checkText(
  attributes: RawAttributes,
  name: string,
  need: "required" | "optional",
): Fault | undefined {
  const value = attributes.get(name);
  if (value === undefined || value === null) {
    if (need === "optional") return undefined;
    return fault("EDDY_EVENT_ATTRIBUTE", `${name} is missing`, name);
  }
  if (typeof value !== "string") {
    return fault("EDDY_EVENT_ATTRIBUTE", `${name} must be a string, got ${show(value)}`, name);
  }
  if (value === "") return fault("EDDY_EVENT_ATTRIBUTE", `${name} must not be empty`, name);
  return checkString(name, value);
}

function checkString(name: string, value: string): Fault | undefined {
  // Two ids that differ in an unpaired surrogate would become one in UTF-8. JSON can carry them as "\\ud800".
  if (surrogate.test(value) && unpaired.test(value)) {
    const text = `${name} has an unpaired surrogate, which is no Unicode text: ${show(value)}`;
    return fault("EDDY_EVENT_ATTRIBUTE", text, name);
  }
  if (value.length * 3 <= bounds.attributeBytesMax) return undefined;
  const bytes = Buffer.byteLength(value, "utf8");
  if (bytes <= bounds.attributeBytesMax) return undefined;
  const text = `${name} has ${bytes} bytes, at most ${bounds.attributeBytesMax} are taken`;
  return fault("EDDY_EVENT_ATTRIBUTE", text, name);
}

const surrogate = /[\ud800-\udfff]/; // never found in latin-1 strings, so this one is all that most pay
const unpaired = /\p{Surrogate}/u;

function checkType(value: unknown): Fault | undefined {
  if (typeof value !== "string" || value.length <= bounds.typeCharsMax) return undefined;
  const text = `type has ${value.length} characters, at most ${bounds.typeCharsMax} are taken`;
  return fault("EDDY_EVENT_ATTRIBUTE", text, "type");
}

// It is a header of its own, written as it is.
function checkContentType(value: unknown): Fault | undefined {
  if (typeof value !== "string" || isMediaType(value)) return undefined;
  const text = `datacontenttype must be a media type in printable ASCII, got ${show(value)}`;
  return fault("EDDY_EVENT_ATTRIBUTE", text, "datacontenttype");
}

/** Whether it can stand in the content-type header. */
export function isMediaType(text: string): boolean {
  return text === "application/json" || /^[!-~](?:[ -~]*[!-~])?$/.test(text);
}

const rfc3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{1,20})?(?:[Zz]|[+-]\d\d:\d\d)$/;

function checkTime(value: unknown): Fault | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string" && isRfc3339(value)) return undefined;
  return fault("EDDY_EVENT_ATTRIBUTE", `time must be RFC 3339, got ${show(value)}`, "time");
}

/** Whether this is a time as RFC 3339 writes it, on a day that exists. */
export function isRfc3339(text: string): boolean {
  const match = rfc3339.exec(text);
  if (match === null || Number.isNaN(Date.parse(text))) return false;
  const day = Number(match[3]); // Date takes 30 February for 2 March
  return day <= 28 || day <= new Date(Date.UTC(Number(match[1]), Number(match[2]), 0)).getUTCDate();
}

/** Whether an extension attribute may be called so. */
export function isExtensionName(name: string): boolean {
  return /^[a-z0-9]+$/.test(name) && name.length <= bounds.extensionNameCharsMax && name !== "data";
}

function checkExtension(name: string, value: unknown): Fault | undefined {
  if (name === "data") {
    return fault("EDDY_EVENT_ATTRIBUTE", "data is not an attribute's name", name);
  }
  if (!isExtensionName(name)) {
    const text = `extension names are 1 to ${bounds.extensionNameCharsMax} of a-z and 0-9, got ${show(name)}`;
    return fault("EDDY_EVENT_ATTRIBUTE", text, name.slice(0, 100));
  }
  if (typeof value === "string") return checkString(name, value);
  if (typeof value === "boolean" || Number.isSafeInteger(value)) return undefined;
  const text = `${name} must be a string, an integer or a boolean, got ${show(value)}`;
  return fault("EDDY_EVENT_ATTRIBUTE", text, name);
}

function show(value: unknown): string {
  const text = printable(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
