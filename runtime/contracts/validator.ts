// Schemas as validators: compiled once a schema, cached as long as the schema lives.
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";

/** What is wrong with a value, one line each; empty where it fits. At most three lines. */
export type Validate = (value: unknown) => readonly string[];

const cache = new WeakMap<TSchema, Validate>();

/** The validator of a schema. Throws what the compiler throws for a schema that is none. */
export function validatorOf(schema: TSchema): Validate {
  const known = cache.get(schema);
  if (known !== undefined) return known;
  const compiled = Compile(schema);
  const validate: Validate = (value) => {
    if (compiled.Check(value)) return [];
    const lines = compiled
      .Errors(value)
      .slice(0, 3)
      .map((e) => describe(e.instancePath, e.message));
    return lines.length > 0 ? lines : ["does not fit its schema"];
  };
  cache.set(schema, validate);
  return validate;
}

function describe(instancePath: string, message: string): string {
  return `data${instancePath.replaceAll("/", ".")} ${message}`;
}
