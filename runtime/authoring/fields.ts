// What a schema tells about the fields of data. Pure. Where a schema does not tell (Any, a record, $ref), nobody guesses.
import type { TSchema } from "typebox";

/** The keywords of JSON Schema that are read here. */
interface Keywords {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly allOf?: readonly TSchema[];
  readonly anyOf?: readonly TSchema[];
  readonly oneOf?: readonly TSchema[];
}

/** The fields that data may have, by name, also of one branch only; undefined where its schema does not tell all. */
export function fieldsOf(schema: TSchema): ReadonlyMap<string, TSchema> | undefined {
  const { properties }: Keywords = schema;
  const branches = branchesOf(schema).map(fieldsOf);
  if (properties === undefined && branches.length === 0) {
    const types = typesOf(schema);
    return types.length === 0 || types.includes("object") ? undefined : new Map();
  }
  const fields = new Map(Object.entries(properties ?? {}));
  for (const branch of branches) {
    if (branch === undefined) return undefined;
    for (const [name, field] of branch) fields.set(name, field);
  }
  return fields;
}

/** The JSON types that a value may have; empty where its schema does not tell. */
export function typesOf(schema: TSchema): readonly string[] {
  const { type = [], properties }: Keywords = schema;
  const own = properties === undefined ? type : "object";
  return [own, ...branchesOf(schema).map(typesOf)].flat();
}

function branchesOf(schema: TSchema): readonly TSchema[] {
  const { allOf = [], anyOf = [], oneOf = [] }: Keywords = schema;
  return [...allOf, ...anyOf, ...oneOf];
}
