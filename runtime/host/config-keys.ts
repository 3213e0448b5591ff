// Every key of the configuration: its default, what it takes, and how that is read. The only list of keys;
// the file's check, the EDDY_… variables and the defaults all come from it. Pure.
import Type, { type StaticDecode, type TSchema } from "typebox";
import { parseDuration } from "../authoring/index.ts";

/** How the text of an environment variable becomes a value: a list is separated by commas, a map is YAML (or JSON). */
type Form = "text" | "number" | "quantity" | "list" | "yaml";

export interface Key<Schema extends TSchema = TSchema> {
  readonly schema: Schema;
  readonly form: Form;
  /** Completes "… must be". */
  readonly expects: string;
  /** As an operator would write it. Absent where the key has no value unless it is given one. */
  readonly initial?: unknown;
  /** Its value is never shown. */
  readonly secret?: true;
}

const bytesOf = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, ...binaryUnits() } as const;

function binaryUnits() {
  return { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;
}

/** Bytes of `1048576`, `"512MiB"` or `"1.5GB"`, or undefined where it is none. */
function parseBytes(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isInteger(value) && value >= 0 ? value : undefined;
  if (typeof value !== "string") return undefined;
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?i?B)$/.exec(value.trim());
  const unit = bytesOf[match?.[2] as keyof typeof bytesOf];
  return unit === undefined ? undefined : Math.round(Number(match?.[1]) * unit);
}

type Parse = (value: unknown) => number | undefined;

function quantity(parse: Parse, min: string | number, max: string | number) {
  const [from, to] = [parse(min) ?? 0, parse(max) ?? 0];
  const read = Type.Refine(Type.Unsafe<string | number>({}), (value) => {
    const amount = parse(value);
    return amount !== undefined && amount >= from && amount <= to;
  });
  return Type.Decode(read, (value) => parse(value) ?? from);
}

function duration(initial: string, min: string, max: string) {
  const schema = quantity(parseDuration, min, max);
  const expects = `a duration from ${min} to ${max}, such as "${initial}" (units: ms s m h d)`;
  return { schema, form: "quantity", expects, initial } as const;
}

function bytes(initial: string, min: string, max: string) {
  const schema = quantity(parseBytes, min, max);
  const expects = `a size from ${min} to ${max}, such as "${initial}" (units: B KB MB GB TB KiB MiB GiB TiB)`;
  return { schema, form: "quantity", expects, initial } as const;
}

function text(expects = "a text (in quotes where it looks like a number)", pattern = "^.+$") {
  return { schema: Type.String({ pattern }), form: "text", expects } as const;
}

function name(initial: string, charsMax: number) {
  const expects = `1 to ${charsMax} of A-Z a-z 0-9 _ -`;
  return { ...text(expects, `^[A-Za-z0-9_-]{1,${charsMax}}$`), initial } as const;
}

function integer(initial: number, minimum: number, maximum: number) {
  const schema = Type.Integer({ minimum, maximum });
  const expects = `a whole number from ${minimum} to ${maximum}`;
  return { schema, form: "number", expects, initial } as const;
}

function choice<const Words extends readonly string[]>(initial: Words[number], words: Words) {
  const schema = Type.Unsafe<Words[number]>(Type.Enum([...words]));
  return { schema, form: "text", expects: `one of ${words.join(", ")}`, initial } as const;
}

const server =
  "^(?:(?:nats|tls)://)?[^\\s/,:]+(?::\\d{1,5})?/?$|^(?:(?:nats|tls)://)?\\[[0-9A-Fa-f:.]+\\](?::\\d{1,5})?$";

const origin = "^(?:\\*|https?://(?:[^\\s/,:?#@]+|\\[[0-9A-Fa-f:.]+\\])(?::\\d{1,5})?)$";

export const keys = {
  app: name("eddy", 32),
  handlers: { ...text("a path to a folder"), initial: "./handlers" },
  "nats.servers": {
    schema: Type.Array(Type.String({ pattern: server }), { minItems: 1, maxItems: 64 }),
    form: "list",
    expects: "a list of servers such as nats://127.0.0.1:4222 (schemes: nats tls)",
    initial: ["nats://127.0.0.1:4222"],
  },
  "nats.name": text(),
  "nats.user": text(),
  "nats.password": { ...text(), secret: true },
  "nats.token": { ...text(), secret: true },
  "nats.credentials": text("a path to a .creds file"),
  "nats.nkey": text("a path to a file with an nkey seed"),
  "nats.tls.ca": text("a path to a PEM file"),
  "nats.tls.cert": text("a path to a PEM file"),
  "nats.tls.key": text("a path to a PEM file"),
  "nats.timeout": duration("5s", "100ms", "5m"),
  "home.stream": name("EVENTS", 64),
  "home.retention": duration("7d", "1s", "3650d"),
  "home.maxBytes": bytes("1GiB", "1MiB", "1024TiB"),
  "objects.maxBytes": bytes("64MiB", "1KiB", "1GiB"),
  "objects.storeBytes": bytes("4GiB", "1MiB", "1024TiB"),
  "state.stream": name("STATE", 64),
  "state.tombstones": duration("24h", "1s", "3650d"),
  "http.host": { ...text("a host name or address"), initial: "127.0.0.1" },
  "http.port": integer(8080, 0, 65_535),
  "http.maxBodyBytes": bytes("1MiB", "1KiB", "64MiB"),
  "http.origins": {
    schema: Type.Array(Type.String({ pattern: origin }), { maxItems: 64 }),
    form: "list",
    expects: 'a list of origins such as https://shop.example.com, or "*" for any',
    initial: [],
  },
  "retry.delays": {
    schema: Type.Array(quantity(parseDuration, "0ms", "30d"), { maxItems: 32 }),
    form: "list",
    expects: "a list of up to 32 durations of at most 30d, such as [1s, 5s, 2m]",
    initial: ["1s", "5s", "30s", "2m", "10m"],
  },
  "retry.jitter": {
    schema: Type.Number({ minimum: 0, maximum: 1 }),
    form: "number",
    expects: "a number from 0 to 1",
    initial: 0.2,
  },
  deadline: duration("30s", "1ms", "1h"),
  "crashes.deaths": integer(3, 2, 100),
  drain: duration("10s", "0ms", "1h"),
  "identities.count": integer(1_000_000, 1, 100_000_000),
  "identities.age": duration("24h", "1s", "3650d"),
  // Its own keys are checked by config-folders.ts: they are named by the operator.
  folders: { schema: Type.Unknown(), form: "yaml", expects: "a map", initial: {} },
  "watch.poll": duration("2s", "50ms", "1h"),
  "log.level": choice("info", ["debug", "info", "warn", "error", "silent"]),
  "log.format": choice("auto", ["auto", "pretty", "json"]),
  "webhooks.github.secret": { ...text(), secret: true },
} as const satisfies Readonly<Record<string, Key>>;

/** What can be set for a module, below `folders` and its name. */
export const folderKeys = {
  isolation: choice("inline", ["inline", "thread"]),
  memory: bytes("128MiB", "32MiB", "64GiB"),
} as const satisfies Readonly<Record<string, Key>>;

export type KeyPath = keyof typeof keys;
/** Those that always have a value. */
export type KeyWithDefault = {
  [Path in KeyPath]: (typeof keys)[Path] extends { initial: unknown } ? Path : never;
}[KeyPath];
export type ValueOf<Path extends KeyPath> = StaticDecode<(typeof keys)[Path]["schema"]>;

export const keyPaths = Object.keys(keys) as readonly KeyPath[];

export function isKeyPath(path: string): path is KeyPath {
  return Object.hasOwn(keys, path);
}

export function keyAt(path: KeyPath): Key {
  return keys[path];
}

/** `home.maxBytes` -> `EDDY_HOME_MAX_BYTES`. */
export function variableOf(path: string): string {
  const words = path.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replaceAll(".", "_");
  return `EDDY_${words.toUpperCase()}`;
}
