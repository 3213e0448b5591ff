// The declaration of an event type: its name, its schema and what it carries. Pure data; types flow from it to handlers.
import type { Static, TSchema } from "typebox";
import { bounds, type CloudEvent } from "../events/index.ts";
import { checkEventOptions, type EventOptions } from "./carries.ts";
import { declared, nonsense } from "./declaration.ts";

/** A declared event type. `Type` is the CloudEvents `type`, `Schema` describes `data`. */
export interface EventType<Type extends string = string, Schema extends TSchema = TSchema> {
  readonly kind: "event";
  readonly type: Type;
  readonly schema: Schema;
  /** What its data is; without `carries` a fact. */
  readonly options: EventOptions;
}

/** The data of an event type. */
export type DataOf<E extends EventType> = E extends EventType<string, infer S> ? Static<S> : never;

/** The event of an event type; of several types a union told apart by `type`. */
export type EventOf<E extends EventType> =
  E extends EventType<infer T, infer S> ? CloudEvent<Static<S>, T> : never;

/**
 * Declares an event type: what has happened, in the past tense, with the schema of its data and what that carries.
 * @throws EddyError `EDDY_DECLARATION` where the type is no legal CloudEvents type, or the options cannot mean anything.
 */
export function event<const Type extends string, Schema extends TSchema>(
  type: Type,
  schema: Schema,
  options?: EventOptions<Static<Schema>>,
): EventType<Type, Schema>;
export function event<Type extends string, Schema extends TSchema>(
  type: Type,
  schema: Schema,
  options: EventOptions = {},
): EventType<Type, Schema> {
  if (typeof type !== "string" || type === "" || type.length > bounds.typeCharsMax) {
    throw nonsense(
      `event(type, schema): type must be a text of 1 to ${bounds.typeCharsMax} characters`,
    );
  }
  if (type.split(".").includes("")) {
    throw nonsense(`event("${type}"): a type has no empty part between, before or after its dots`);
  }
  if (schema === null || typeof schema !== "object") {
    throw nonsense(
      `event("${type}"): the second argument is the schema of data, such as Type.Object({ … })`,
    );
  }
  checkEventOptions(`event("${type}")`, schema, options);
  return declared({ kind: "event", type, schema, options });
}

export function isEventType(value: unknown): value is EventType {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "event";
}
