// Asks events whether they fit a `where`: compiled once for each declaration, asked for each event. Pure.
// M1 All fields have to fit, and of a leaf one alternative. M2 An array fits where one of its elements does: all fields
// of one pattern look at the same element. M3 What is not there fits `exists: false` and nothing else; below an array
// it may be there in no element, unless another field has chosen one. M4 Nothing throws, whatever data is: only own
// properties are read, and no deeper than the pattern is; arrays in arrays no deeper than an event may be.
import { bounds, type CloudEvent } from "../events/index.ts";
import type { Alternative, Alternatives, NumericRange, Pattern, Where } from "./where.ts";

export type Matcher = (event: CloudEvent) => boolean;

/** What a value is to its part of the pattern: `lacking` is an absence that is asked for. */
type Fit = typeof unfit | typeof lacking | typeof fits;
const unfit = 0;
const lacking = 1;
const fits = 2;

/** An undefined value is one that is not there. */
type Part = (value: unknown) => Fit;
type Test = (value: unknown) => boolean;

/** The matcher of a `where` that was checked. */
export function compileWhere(where: Where): Matcher {
  const parts = Object.entries(where).flatMap(([name, pattern]) =>
    pattern === undefined ? [] : [{ read: readerOf(name), part: compile(pattern) }],
  );
  return (event) => parts.every(({ read, part }) => part(read(event)) !== unfit);
}

/** Whether the `where` of a declaration leaves an event out. It is not asked about events of other types than its own. */
export function leavesOut(
  { matches, from }: { readonly matches: Matcher | undefined; readonly from: readonly Typed[] },
  event: CloudEvent,
): boolean {
  return matches !== undefined && from.some(({ type }) => type === event.type) && !matches(event);
}

interface Typed {
  readonly type: string;
}

function readerOf(name: string): (event: CloudEvent) => unknown {
  switch (name) {
    case "specversion":
    case "id":
    case "source":
    case "type":
    case "subject":
    case "time":
    case "datacontenttype":
    case "dataschema":
    case "data":
      return (event) => event[name];
    default:
      return ({ extensions }) => ownField(extensions, name);
  }
}

function compile(pattern: Pattern): Part {
  const part = isList(pattern) ? leafOf(pattern) : objectOf(pattern);
  const empty = part(undefined);
  return (value) => (Array.isArray(value) ? ofArray(value, part, empty, 1) : part(value));
}

function isList(pattern: Pattern): pattern is Alternatives {
  return Array.isArray(pattern);
}

function ofArray(list: readonly unknown[], part: Part, empty: Fit, level: number): Fit {
  if (level > bounds.depthMax) return unfit;
  let all = empty;
  for (const element of list) {
    const one = Array.isArray(element) ? ofArray(element, part, empty, level + 1) : part(element);
    if (one === fits) return fits;
    if (one === unfit) all = unfit;
  }
  return all;
}

function objectOf(fields: { readonly [field: string]: Pattern }): Part {
  const parts = Object.entries(fields).map(([name, pattern]) => ({ name, part: compile(pattern) }));
  return (value) => {
    const object = isObject(value) ? value : {};
    let all: Fit = lacking;
    for (const { name, part } of parts) {
      const one = part(ownField(object, name));
      if (one === unfit) return unfit;
      if (one === fits) all = fits;
    }
    return all;
  };
}

function leafOf(alternatives: Alternatives): Part {
  const values = new Set<unknown>();
  const tests: Test[] = [];
  let absent: Fit = unfit;
  for (const alternative of alternatives) {
    if (typeof alternative !== "object" || alternative === null) values.add(alternative);
    else if ("exists" in alternative && !alternative.exists) absent = lacking;
    else tests.push(testOf(alternative));
  }
  return (value) => {
    if (value === undefined || isObject(value)) return absent;
    return values.has(value) || tests.some((test) => test(value)) ? fits : unfit;
  };
}

function testOf(alternative: Exclude<Alternative, string | number | boolean | null>): Test {
  if ("exists" in alternative) return () => true;
  if ("numeric" in alternative) return numericTest(alternative.numeric);
  if ("anything-but" in alternative) return not(alternative["anything-but"]);
  if ("prefix" in alternative) {
    const { prefix } = alternative;
    return (value) => typeof value === "string" && value.startsWith(prefix);
  }
  const { suffix } = alternative;
  return (value) => typeof value === "string" && value.endsWith(suffix);
}

type AnythingBut = Extract<Alternative, { "anything-but": unknown }>["anything-but"];

function not(but: AnythingBut): Test {
  if (typeof but === "object" && !isListed(but)) {
    const test = testOf(but);
    return (value) => !test(value);
  }
  const values = new Set<unknown>(isListed(but) ? but : [but]);
  return (value) => !values.has(value);
}

function isListed(but: AnythingBut): but is readonly (string | number)[] {
  return Array.isArray(but);
}

function numericTest([first, low, second, high]: NumericRange): Test {
  const one = comparison(first, low);
  if (second === undefined || high === undefined) return one;
  const other = comparison(second, high);
  return (value) => one(value) && other(value);
}

function comparison(operator: NumericRange[0] | "<" | "<=", bound: number): Test {
  switch (operator) {
    case "=":
      return (value) => value === bound;
    case "<":
      return (value) => typeof value === "number" && value < bound;
    case "<=":
      return (value) => typeof value === "number" && value <= bound;
    case ">":
      return (value) => typeof value === "number" && value > bound;
    case ">=":
      return (value) => typeof value === "number" && value >= bound;
  }
}

function ownField(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Bytes and times, which MessagePack knows, are values without fields. */
function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  return !(value instanceof Uint8Array || value instanceof Date);
}
