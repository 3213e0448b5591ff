// For tests only: messages as anybody may publish them, for fast-check: events, what is nearly one, and noise.
import fc from "fast-check";
import { anyText, jsonData } from "./arbitraries.ts";

/** A message as anybody may publish it: header block and payload, as bytes. */
export interface RawMessage {
  /** The last tokens of its subject, behind the type's. */
  readonly key: string;
  /** Latin-1, with `NATS/1.0` and the empty line at the end; absent where it has no headers. */
  readonly headers?: string;
  readonly data: Uint8Array;
}

const bytes = (text: string) => Buffer.from(text, "utf8");
const latin1 = (text: string) => Buffer.from(text, "utf8").toString("latin1");
const long = (unit: string, max: number) =>
  fc.integer({ min: 1, max }).map((count) => unit.repeat(count));

/** Ids and other attribute values of every kind, legal or not; few enough that some repeat. */
const anyValue = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 5_000 }).map((n) => `id-${n}`) },
  { weight: 3, arbitrary: anyText },
  fc.constantFrom(
    "",
    " ",
    "%",
    "%%",
    "%FF",
    "%2",
    "%E2%82%AC",
    '"',
    '"a\\"b"',
    "\ud800",
    "=",
    "=41",
  ),
  fc.constantFrom("__proto__", "constructor", "../../x", "a.b.>", "*", "$JS.API.>", "null", "\0"),
  { weight: 1, arbitrary: long("x", 2_000) },
  fc.constantFrom("é", "x".repeat(16_384), "y".repeat(16_385), "😀".repeat(300)),
);

const polluting = fc.constantFrom(
  '{"__proto__":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '{"data":{"__proto__":{"polluted":1}},"toString":1,"hasOwnProperty":null,"valueOf":[]}',
  '{"then":1,"toJSON":"x","length":-1}',
);

const deepJson = fc
  .record({
    open: fc.constantFrom("[", '{"a":', '[{"b":['),
    depth: fc.integer({ min: 1, max: 5_000 }),
  })
  .map(({ open, depth }) => {
    const closing = [...open].reverse().map((c) => (c === "[" ? "]" : c === "{" ? "}" : ""));
    return `${open.repeat(depth)}1${closing.join("").repeat(depth)}`;
  });

/** MessagePack that promises more than it holds, nests without an end, or names what no key should be. */
const packBomb = fc
  .oneof(
    fc.constantFrom(
      [0xdd, 0xff, 0xff, 0xff, 0xff], // an array of 4,294,967,295
      [0xdf, 0xff, 0xff, 0xff, 0xff], // a map of as many
      [0xdb, 0x7f, 0xff, 0xff, 0xff, 0x61], // a text of 2 GB
      [0xc6, 0xff, 0xff, 0xff, 0xff], // bytes
      [0xc9, 0xff, 0xff, 0xff, 0xff, 0x01], // an extension
      [0xd4, 0x72, 0x40], // msgpackr's records
      [0xd6, 0xff, 0xff, 0xff, 0xff, 0xff], // a timestamp
      [0x81, 0xa9, ...bytes("__proto__"), 0x81, 0xa8, ...bytes("polluted"), 0x01],
      [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      [0xc1],
      [0x92, 0x01],
    ),
    fc.integer({ min: 1, max: 5_000 }).map((depth) => new Array<number>(depth).fill(0x91)),
    fc.integer({ min: 1, max: 500 }).map((depth) => new Array<number>(depth * 2).fill(0x81)),
  )
  .map((list) => Uint8Array.from(list));

const anyPayload = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  { weight: 6, arbitrary: jsonData.map((value) => bytes(JSON.stringify(value))) },
  { weight: 2, arbitrary: polluting.map(bytes) },
  { weight: 1, arbitrary: deepJson.map(bytes) },
  { weight: 2, arbitrary: packBomb },
  { weight: 1, arbitrary: fc.constant(new Uint8Array(0)) },
);

const anyContentType = fc.constantFrom(
  "application/json",
  "application/json",
  "application/msgpack",
  "text/plain",
  "image/png",
  "application/cloudevents+json",
  "application/cloudevents+avro",
  "application/cloudevents-batch+json",
  'APPLICATION/JSON; charset="utf-16"',
  "a/b+msgpack",
  "",
);

/** Content types with data that fits them, most of the time. */
const anyContent = fc.oneof(
  {
    weight: 5,
    arbitrary: jsonData.map((json) => ({
      contentType: "application/json",
      data: bytes(JSON.stringify(json)),
    })),
  },
  {
    weight: 1,
    arbitrary: polluting.map((json) => ({ contentType: "application/json", data: bytes(json) })),
  },
  { weight: 2, arbitrary: packBomb.map((data) => ({ contentType: "application/msgpack", data })) },
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({ maxLength: 200 })
      .map((data) => ({ contentType: "image/png", data })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      contentType: fc.option(anyContentType, { nil: undefined }),
      data: anyPayload,
    }),
  },
);

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 40 });
/** Mostly this, now and then one of those. */
const rarely = <T>(mostly: T, others: readonly T[]) =>
  fc.oneof({ weight: 20, arbitrary: fc.constant(mostly) }, fc.constantFrom(...others));

const extra = fc.oneof(
  { weight: 8, arbitrary: fc.constant<[string, string][]>([]) },
  fc.array(fc.tuple(fc.stringMatching(/^[a-zA-Z_$-]{1,20}$/), anyValue), { maxLength: 5 }),
  fc.constantFrom<[string, string][]>(
    [["constructor", "x"]],
    [["__proto__", "x"]],
    [["partitionkey", ""]],
    [["expirytime", "soon"]],
    [["expirytime", "2020-01-01T00:00:00Z"]],
    [["id", "again"]],
    [["data", "x"]],
  ),
  fc.integer({ min: 60, max: 70 }).map((count) => extensions(count, 1)),
  fc.integer({ min: 1, max: 60 }).map((count) => extensions(count, count % 7 === 0 ? 900 : 20)),
);

function extensions(count: number, chars: number): [string, string][] {
  return Array.from({ length: count }, (_, n) => [`x${n}`, "v".repeat(chars)]);
}

/** Attributes that nearly make an event of this type. */
const attributesOf = (type: string) =>
  fc.record({
    specversion: fc.oneof(
      { weight: 30, arbitrary: fc.constant("1.0") },
      maybe(fc.constantFrom("0.3", "2.0", "")),
    ),
    id: maybe(anyValue),
    source: maybe(fc.oneof({ weight: 4, arbitrary: fc.constant("/fuzz") }, anyValue)),
    type: maybe(fc.oneof({ weight: 12, arbitrary: fc.constant(type) }, anyValue)),
    subject: fc.option(anyValue, { nil: undefined, freq: 2 }),
    time: rarely<string | undefined>("2026-11-24T12:00:00Z", [
      undefined,
      "2026-02-30T00:00:00Z",
      "now",
    ]),
  });

const binary = (type: string) =>
  fc
    .record({
      attributes: attributesOf(type),
      content: anyContent,
      extra,
      separator: rarely(": ", [":", ":\t ", " : "]),
      encode: fc.constantFrom(
        latin1,
        latin1,
        (text: string) => encodeURIComponent(wellFormed(text)),
        cut,
      ),
      twice: rarely("", ["ce-id: again\r\n", "Nats-Foo: x\r\n", ":\r\n"]),
      prefix: rarely("ce-", ["Ce-", "CE-"]),
    })
    .map(
      ({ attributes, content: { contentType, data }, extra, separator, encode, twice, prefix }) => {
        const fields = [...Object.entries(attributes), ...extra].filter(
          ([, value]) => value !== undefined,
        );
        const lines = fields.map(
          ([name, value]) => `${prefix}${name}${separator}${oneLine(encode(value ?? ""))}\r\n`,
        );
        if (contentType !== undefined) lines.push(`content-type${separator}${contentType}\r\n`);
        return { headers: `NATS/1.0\r\n${lines.join("")}${twice}\r\n`, data };
      },
    );

const wellFormed = (text: string) => text.replace(/\p{Surrogate}/gu, "\u{fffd}");
const cut = (text: string) => text.replace(/[^\x20-\xff]/g, "");
const oneLine = (text: string) => text.replace(/[\r\n]/g, " ");

const structured = (type: string) =>
  fc
    .record({
      attributes: attributesOf(type),
      extra,
      odd: rarely<object>({}, [
        { id: 7 },
        { data_base64: "AA==" },
        { data_base64: "%" },
        { source: null },
      ]),
      data: fc.oneof(
        { weight: 5, arbitrary: jsonData.map((data) => JSON.stringify(data)) },
        polluting,
        deepJson,
      ),
      contentType: maybe(anyContentType),
      header: fc.constantFrom(
        undefined,
        "application/cloudevents+json",
        "application/json",
        "application/cloudevents; charset=utf-8",
      ),
      spoil: rarely("", ["}", "\0", "\u{feff}"]),
    })
    .map(({ attributes, extra, odd, data, contentType, header, spoil }) => {
      const envelope = {
        ...attributes,
        datacontenttype: contentType,
        ...Object.fromEntries(extra),
        ...odd,
      };
      const json = JSON.stringify(envelope);
      const whole = `${json.slice(0, -1)}${json === "{}" ? "" : ","}"data":${data}}${spoil}`;
      const headers =
        header === undefined ? {} : { headers: `NATS/1.0\r\ncontent-type: ${header}\r\n\r\n` };
      return { ...headers, data: bytes(whole) };
    });

const garbage = fc
  .record({
    headers: fc.oneof(
      fc.constantFrom(
        undefined,
        undefined,
        "NATS/1.0\r\n\r\n",
        "NATS/1.0\r\nce-id\r\n\r\n",
        "NATS/1.0\r\nce-specversion: 1.0\r\n\r\n",
      ),
      fc
        .string({ unit: "binary-ascii", maxLength: 60 })
        .map((text) => `NATS/1.0\r\n${text}\r\n\r\n`),
      long(" ", 50_000).map((blanks) => `NATS/1.0\r\nce-id: a${blanks}b\r\n\r\n`),
      long("h", 30_000).map((value) => `NATS/1.0\r\nce-id: ${value}\r\nce-type: x\r\n\r\n`),
    ),
    data: anyPayload,
  })
  .map(({ headers, data }) => (headers === undefined ? { data } : { headers, data }));

/** One token that NATS takes, or several, or none of ours. */
const anyKey = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 300 }).map((n) => `k${n}`) },
  fc.constantFrom(
    "=",
    "=41",
    "=ZZ",
    "%",
    "$JS",
    "_INBOX",
    "é",
    "\u{1f600}",
    "x".repeat(1_000),
    "__proto__",
    "a.b",
    "a.b.c",
  ),
  fc.stringMatching(/^[!-)+-\-/-=?-~]{1,30}$/),
);

/** Messages that are, or nearly are, events of this type: binary, structured, or noise. */
export const anyMessage = (type: string): fc.Arbitrary<RawMessage> =>
  fc
    .tuple(
      anyKey,
      fc.oneof(
        { weight: 6, arbitrary: binary(type) },
        { weight: 4, arbitrary: structured(type) },
        { weight: 2, arbitrary: garbage },
      ),
    )
    .map(([key, message]) => ({ key, ...message }));
