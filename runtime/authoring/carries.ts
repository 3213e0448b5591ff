// What the data of an event is: a fact, the state of an entity, or a reference to one. docs/events.md tells which to
// choose. C1 Only state has a key and a deletion, and both name fields that data can have.
import type { TSchema } from "typebox";
import { nonsense } from "./declaration.ts";
import type { DataOf, EventType } from "./event-type.ts";
import { fieldsOf, typesOf } from "./fields.ts";

/** Names of the fields of data whose values are of a type; any name where the type of data is not known. */
export type FieldOf<Data, Value> = unknown extends Data
  ? string
  : { [K in keyof Data & string]-?: Data[K] extends Value ? K : never }[keyof Data & string];

/**
 * Which events of a type say that the entity is gone: none of them, each of them, or those whose boolean `field` is true.
 * Another type of the same entity may say it instead.
 */
type Deletion<Field extends string> = "never" | "always" | { readonly field: Field };

/**
 * What the data of an event is. Default: a fact.
 * - `"fact"`: what has happened, with what belongs to it.
 * - `"state"`: all that is known of an entity from now on; its last event replaces those before.
 * - `"reference"`: an id and a link. Who wants more asks for it.
 */
export type EventOptions<Data = unknown> =
  | { readonly carries?: "fact" }
  | { readonly carries: "reference" }
  | {
      readonly carries: "state";
      /** The field of data that names the entity: a text or a number that is always there. */
      readonly key?: FieldOf<Data, string | number>;
      readonly deletion?: Deletion<FieldOf<Data, boolean | undefined>>;
    };

/** The entity that a state event is about; undefined where its type has no key, or data no text or number there. */
export function entityKeyOf<E extends EventType>(
  { options }: E,
  data: DataOf<E>,
): string | undefined {
  if (options.carries !== "state" || options.key === undefined) return undefined;
  const value = fieldIn(data, options.key);
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** A field of data; undefined where there is none. */
export function fieldIn(data: unknown, field: string): unknown {
  return typeof data === "object" && data !== null ? Reflect.get(data, field) : undefined;
}

/** @throws EddyError `EDDY_DECLARATION` for options that cannot mean anything. */
export function checkEventOptions(what: string, schema: TSchema, options: EventOptions): void {
  if (options === null || typeof options !== "object")
    throw nonsense(`${what}: options must be an object such as { carries: "state" }`);
  const { carries = "fact" } = options;
  if (!["fact", "state", "reference"].includes(carries)) {
    const got = JSON.stringify(carries);
    throw nonsense(`${what}: carries must be "fact", "state" or "reference", got ${got}`);
  }
  if (options.carries !== "state") {
    const stray = ["key", "deletion"].find((name) => name in options);
    if (stray === undefined) return;
    throw nonsense(`${what}: ${stray} is for an event that carries: "state", not "${carries}"`);
  }
  const { key, deletion } = options;
  if (key !== undefined) checkField(`${what}: key`, schema, key, ["string", "integer", "number"]);
  if (deletion === undefined || deletion === "never" || deletion === "always") return;
  if (deletion === null || typeof deletion !== "object" || !("field" in deletion)) {
    const got = JSON.stringify(deletion);
    throw nonsense(
      `${what}: deletion must be "never", "always" or { field: "…" } with a field of data, got ${got}`,
    );
  }
  checkField(`${what}: deletion.field`, schema, deletion.field, ["boolean"]);
}

/** Where the schema does not tell of the field, whoever declares it is believed. */
function checkField(what: string, schema: TSchema, field: string, types: readonly string[]): void {
  const fields = fieldsOf(schema);
  if (fields === undefined) return;
  const found = fields.get(field);
  if (found === undefined) {
    const names = fields.size === 0 ? "none" : [...fields.keys()].join(", ");
    throw nonsense(
      `${what} must name a field of data, got ${JSON.stringify(field)}; its schema has ${names}`,
    );
  }
  const wrong = typesOf(found).find((type) => !types.includes(type));
  if (wrong === undefined) return;
  throw nonsense(
    `${what} names ${field}, which may be of type ${wrong}, not ${types.join(" or ")}`,
  );
}
