// Declarations as data, for the thread that loaded them, and back as declarations, for the one that names and checks
// them. D1 What comes back has every name, schema and option of the original, and functions that must not be called.
import assert from "node:assert/strict";
import {
  asDeclaration,
  type Declaration,
  type Enrichment,
  type EventType,
  enrich,
  event,
  on,
  projection,
} from "../../authoring/index.ts";
import type { Described, DescribedType, Description } from "./protocol.ts";

type Exports = Readonly<Record<string, unknown>>;

/** The declarations among a module's exports, each once, and the description that refers to them by place. */
export function describe(exports: Exports): {
  readonly declarations: readonly Declaration[];
  readonly description: Description;
} {
  const declarations: Declaration[] = [];
  const places: Record<string, Record<string, number>> = {};
  for (const [key, exported] of Object.entries(exports)) {
    const names: Record<string, number> = {};
    for (const [name, value] of Object.entries(exported ?? {})) {
      const declaration = asDeclaration(value);
      if (declaration === undefined) continue;
      const known = declarations.indexOf(declaration);
      names[name] = known >= 0 ? known : declarations.push(declaration) - 1;
    }
    places[key] = names;
  }
  const description = { declarations: declarations.map(asData), exports: places };
  return { declarations, description };
}

function asData(declaration: Declaration): Described {
  const { options } = declaration;
  const from = declaration.from.map(typeAsData);
  if (declaration.kind === "reaction") {
    const { enrichment } = declaration;
    const asked = enrichment === undefined ? {} : { enrichment };
    return { kind: "reaction", from, emits: declaration.emits.map(typeAsData), options, ...asked };
  }
  const { name, state, local, indexes } = declaration;
  return {
    kind: "projection",
    name,
    from,
    options,
    indexes,
    ...(state === undefined ? {} : { state }),
    ...(local === undefined ? {} : { local }),
  };
}

function typeAsData({ type, schema, options }: EventType): DescribedType {
  return { type, schema, options };
}

/** The declarations again, and exports as a module has them. */
export function undescribe({ declarations, exports }: Description): {
  readonly declarations: readonly Declaration[];
  readonly exports: Exports;
} {
  const made = declarations.map(asDeclared);
  const named = (names: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(names).map(([name, place]) => [name, made[place]]));
  const files = Object.entries(exports).map(([key, names]) => [key, named(names)] as const);
  return { declarations: made, exports: Object.fromEntries(files) };
}

function asDeclared(described: Described): Declaration {
  const from = described.from.map(asType);
  if (described.kind === "reaction") {
    const emits = described.emits.map(asType);
    if (described.enrichment === undefined) {
      return on(from, { ...described.options, emits }, elsewhere);
    }
    const [to] = emits;
    assert(to !== undefined, "bug: an enrichment emits one type");
    return enrich(
      from,
      to,
      { ...described.options, ...asOptions(described.enrichment) },
      elsewhere,
    );
  }
  const { name, options, state, local } = described;
  const indexes = Object.fromEntries(described.indexes.map((index) => [index, elsewhere]));
  const kept = local === undefined ? {} : { local };
  const spec = { ...options, ...kept, from, key: elsewhere, apply: elsewhere, indexes };
  return state === undefined ? projection(name, spec) : projection(name, { ...spec, state });
}

function asOptions({ shareMs: share, rate, ...rest }: Enrichment) {
  if (rate === undefined) return { ...rest, share };
  return { ...rest, share, rate: { limit: rate.limit, per: rate.perMs } };
}

function asType({ type, schema, options }: DescribedType): EventType {
  return event(type, schema, options);
}

function elsewhere(): never {
  assert.fail("bug: a function of an isolated handler was called outside of its thread");
}
