// `where`: which events of its types a handler takes, as data, and the check of it at declaration. Means what
// EventBridge's event patterns mean; matcher.ts asks it. Pure.
import { nonsense } from "./declaration.ts";
import type { DataOf, EventType } from "./event-type.ts";

type Scalar = string | number | boolean | null;
type Affix = { readonly prefix: string } | { readonly suffix: string };
type Lower = ">" | ">=";
type Upper = "<" | "<=";

export type NumericRange =
  | readonly ["=" | Lower | Upper, number]
  | readonly [Lower, number, Upper, number];

/** One of the values that a field may have. All but `exists: false` need the field to be there. */
export type Alternative =
  /** The same text, number (by value), boolean or null. */
  | Scalar
  | Affix
  /** Any other value, of whatever kind. */
  | { readonly "anything-but": string | number | readonly (string | number)[] | Affix }
  | { readonly numeric: NumericRange }
  /** Whether there is a value: an object and an empty array are none. */
  | { readonly exists: boolean };

/** Any of them. */
export type Alternatives = readonly Alternative[];

/** Fields are looked at in each element of an array, and all of them in the same one. */
export type Pattern<Value = unknown> = Alternatives | Fields<ElementOf<Value>>;

type Fields<Value> = unknown extends Value
  ? { readonly [field: string]: Pattern }
  : [KeyOf<Value>] extends [never]
    ? never
    : { readonly [Field in KeyOf<Value>]?: Pattern<At<Value, Field>> };

// Of unions as well: each distributes.
type ElementOf<Value> = Value extends readonly (infer Element)[] ? ElementOf<Element> : Value;
type KeyOf<Value> = Value extends object ? keyof Value & string : never;
type At<Value, Field> = Field extends keyof Value ? Value[Field] : never;

/** Attributes by name, extensions too, and `data`. All of them have to fit. `Data` is the pattern of data. */
export interface Where<Data = Pattern> {
  readonly id?: Alternatives;
  readonly source?: Alternatives;
  readonly type?: Alternatives;
  readonly subject?: Alternatives;
  readonly time?: Alternatives;
  readonly datacontenttype?: Alternatives;
  readonly dataschema?: Alternatives;
  readonly data?: Data;
  readonly [extension: string]: Alternatives | Data | undefined; // also for whoever compiles less strictly
}

/** The `where` of handlers of an event type. */
export type WhereOf<E extends EventType> = Where<Pattern<DataOf<E>>>;

const most = { levels: 16, leaves: 100, values: 1_000, chars: 1_000 } as const;

/** Throws `EDDY_DECLARATION`, with the path, for what is no pattern. */
export function checkWhere(what: string, where: unknown): void {
  const path = `${what}: where`;
  for (const [name, pattern] of fieldsOf(path, where)) {
    if (!/^[a-z0-9]{1,64}$/.test(name)) {
      throw nonsense(`${path}.${name} is no attribute of an event; fields of data go below data`);
    }
    if (name !== "data" && !Array.isArray(pattern)) {
      throw nonsense(`${path}.${name} must be a list of alternatives such as ["a", "b"]`);
    }
  }
  const leaves = countLeaves(path, where, 1);
  if (leaves > most.leaves) {
    throw nonsense(`${path} looks at ${leaves} fields; up to ${most.leaves} are allowed`);
  }
}

function countLeaves(path: string, pattern: unknown, level: number): number {
  if (level > most.levels) throw nonsense(`${path} is deeper than ${most.levels} levels`);
  if (Array.isArray(pattern)) {
    checkLength(path, pattern);
    pattern.forEach((alternative, at) => void checkAlternative(`${path}[${at}]`, alternative));
    return 1;
  }
  return fieldsOf(path, pattern).reduce((leaves, [name, below]) => {
    checkText(`${path}: the name of a field`, name);
    return leaves + countLeaves(`${path}.${name}`, below, level + 1);
  }, 0);
}

function fieldsOf(path: string, pattern: unknown): [string, unknown][] {
  if (typeof pattern !== "object" || pattern === null || Array.isArray(pattern)) {
    throw nonsense(
      `${path} must be a list of alternatives such as ["paid"], or an object of fields, got ${show(pattern)}`,
    );
  }
  const fields = Object.entries(pattern);
  if (fields.length === 0) throw nonsense(`${path} is empty: name a field, or leave it out`);
  return fields;
}

function checkAlternative(path: string, alternative: unknown): void {
  if (typeof alternative !== "object" || alternative === null) {
    if (alternative !== null && typeof alternative !== "boolean") checkValue(path, alternative);
    return;
  }
  checkOperator(path, alternative, operators);
}

type Check = (path: string, operand: unknown) => void;

function checkOperator(path: string, alternative: object, known: ReadonlyMap<string, Check>): void {
  const [[name, operand] = ["", undefined], ...more] = Object.entries(alternative);
  const check = known.get(name);
  if (check === undefined || more.length > 0) {
    const names = [...known.keys()].join(", ");
    throw nonsense(`${path} must have one operator of ${names}, got ${show(alternative)}`);
  }
  check(`${path}.${name}`, operand);
}

const affixes: ReadonlyMap<string, Check> = new Map([
  ["prefix", checkText],
  ["suffix", checkText],
]);

const operators: ReadonlyMap<string, Check> = new Map([
  ...affixes,
  ["anything-but", checkAnythingBut],
  ["numeric", checkNumeric],
  ["exists", checkExists],
]);

function checkAnythingBut(path: string, operand: unknown): void {
  if (Array.isArray(operand)) {
    checkLength(path, operand);
    operand.forEach((value, at) => void checkValue(`${path}[${at}]`, value));
  } else if (typeof operand === "object" && operand !== null) checkOperator(path, operand, affixes);
  else checkValue(path, operand);
}

function checkNumeric(path: string, operand: unknown): void {
  const [first, low, second, high] = Array.isArray(operand) ? operand : [];
  const length = Array.isArray(operand) ? operand.length : 0;
  const isOne = length === 2 && /^(?:=|[<>]=?)$/.test(first) && Number.isFinite(low);
  const isRange =
    length === 4 && /^>=?$/.test(first) && /^<=?$/.test(second) && Number.isFinite(high - low);
  if (isOne || (isRange && low < high)) return;
  throw nonsense(
    `${path} must be [operator, number] with = < <= > >=, or a range such as [">=", 100, "<", 500], got ${show(operand)}`,
  );
}

function checkExists(path: string, operand: unknown): void {
  if (typeof operand !== "boolean")
    throw nonsense(`${path} must be true or false, got ${show(operand)}`);
}

function checkValue(path: string, value: unknown): void {
  if (typeof value === "string") checkText(path, value);
  else if (!Number.isFinite(value)) {
    throw nonsense(`${path} must be a text or a finite number, got ${show(value)}`);
  }
}

function checkText(path: string, text: unknown): void {
  if (typeof text !== "string" || text.length > most.chars) {
    throw nonsense(`${path} must be a text of up to ${most.chars} characters, got ${show(text)}`);
  }
}

function checkLength(path: string, list: readonly unknown[]): void {
  if (list.length === 0 || list.length > most.values)
    throw nonsense(`${path} must have 1 to ${most.values} values, it has ${list.length}`);
}

/** Whatever it is, as a piece of a line. */
function show(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? typeof value).slice(0, 80);
  } catch {
    return typeof value;
  }
}
