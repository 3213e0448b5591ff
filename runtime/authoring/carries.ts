// What the data of an event is: a fact, the state of an entity, or a reference to one. docs/events.md tells which to
// choose. C1 Only state has a key and a deletion, and both name fields that data can have. C2 What has a compacted home
// says by what it is kept there, and no event of it only deletes.
import type { TSchema } from "typebox";
import { nonsense } from "./declaration.ts";
import type { DataOf, EventType } from "./event-type.ts";
import { fieldsOf, typesOf } from "./fields.ts";

/** Names of the fields of data whose values are of a type; any name where the type of data is not known. */
export type FieldOf<Data, Value> = unknown extends Data
  ? string
  : { [K in keyof Data & string]-?: Data[K] extends Value ? K : never }[keyof Data & string];

/**
 * Which events say that the entity is gone: none of this type, each of them, those whose boolean `field` is true, or those
 * of another type, `by`, whose own key names the same entity.
 */
type Deletion<Field extends string> =
  | "never"
  | "always"
  | { readonly field: Field }
  | { readonly by: EventType };

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
      /**
       * The last event of each entity is kept in the compacted home as well, and a projection that has never run begins
       * there. Needs a key.
       */
      readonly stream?: "STATE";
    };

/** Whether the last event of each entity of this type is kept in the compacted home. */
export function isCompacted({ options }: EventType): boolean {
  return options.carries === "state" && options.stream !== undefined;
}

/** The type whose events say that an entity of this one is gone, where another one does. */
export function deleterOf({ options }: EventType): EventType | undefined {
  if (options.carries !== "state" || typeof options.deletion !== "object") return undefined;
  return "by" in options.deletion ? options.deletion.by : undefined;
}

/** Whether an event of one of its types says that the entity of a type is gone. */
export function deletes(state: EventType, event: { type: string; data: unknown }): boolean {
  const { options } = state;
  if (deleterOf(state)?.type === event.type) return true;
  if (options.carries !== "state" || typeof options.deletion !== "object") return false;
  return "field" in options.deletion && fieldIn(event.data, options.deletion.field) === true;
}

/** Whether all that these types have said of their entities is in the compacted home, deletions as well. */
export function areCompacted(types: readonly EventType[]): boolean {
  const deleted = (type: string) =>
    types.some((of) => isCompacted(of) && deleterOf(of)?.type === type);
  return types.length > 0 && types.every((type) => isCompacted(type) || deleted(type.type));
}

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
    const stray = ["key", "deletion", "stream"].find((name) => name in options);
    if (stray === undefined) return;
    throw nonsense(`${what}: ${stray} is for an event that carries: "state", not "${carries}"`);
  }
  const { key, deletion } = options;
  if (key !== undefined) checkField(`${what}: key`, schema, key, ["string", "integer", "number"]);
  checkHome(what, options);
  if (deletion === undefined || deletion === "never" || deletion === "always") return;
  if (deletion !== null && typeof deletion === "object" && "by" in deletion) {
    checkDeleter(what, deletion.by);
    return;
  }
  if (deletion === null || typeof deletion !== "object" || !("field" in deletion)) {
    const got = JSON.stringify(deletion);
    throw nonsense(
      `${what}: deletion must be "never", "always", { field: "…" } with a field of data or { by: … } with an event type, got ${got}`,
    );
  }
  checkField(`${what}: deletion.field`, schema, deletion.field, ["boolean"]);
}

function checkHome(what: string, options: EventOptions & { carries: "state" }): void {
  const { stream, key, deletion } = options;
  if (stream === undefined) return;
  if (stream !== "STATE") {
    throw nonsense(
      `${what}: stream must be "STATE", the compacted home, got ${JSON.stringify(stream)}`,
    );
  }
  if (key === undefined) {
    throw nonsense(
      `${what}: stream: "STATE" keeps the last event of each entity; add key, the field of data that names it`,
    );
  }
  if (deletion === "always") {
    throw nonsense(
      `${what}: with deletion: "always" there is nothing to keep in stream: "STATE". Give it to the type that carries the ` +
        "state, with deletion: { by: … } and this one",
    );
  }
}

/** A type that the declaring module took from a file that imports it in turn is not there yet. */
function checkDeleter(what: string, by: unknown): void {
  const isEvent = typeof by === "object" && by !== null && Reflect.get(by, "kind") === "event";
  if (!isEvent) {
    throw nonsense(
      `${what}: deletion.by must be an event type, made with event(type, schema, …). If it is imported from a file that ` +
        "imports this one, break the circle",
    );
  }
  const { type, options } = by as EventType;
  if (options.carries === "state" && options.key !== undefined) return;
  throw nonsense(
    `${what}: deletion.by names ${type}, which does not say of which entity it is; declare it with carries: "state" and a key`,
  );
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
