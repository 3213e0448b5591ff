// For tests only: events and texts of every legal shape, for fast-check.
import fc from "fast-check";
import type { CloudEvent } from "./event.ts";

/** Any text that has a UTF-8 form: NUL, CR LF, quotes, per cent signs, emoji. */
export const anyText = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom("%", '"', "\\", "\0", "\r", "\n", " ", "é", "😀", "a", "2", "5"),
  }),
);
const someText = anyText.filter((text) => text !== "");

/** JSON as it comes back from its text (-0 does not), without a key that msgpackr renames for safety. */
export const jsonData = fc
  .jsonValue({ maxDepth: 4 })
  .map((value) => JSON.stringify(value))
  .filter((text) => !text.includes("__proto__"))
  .map((text): unknown => JSON.parse(text));

const content = fc.oneof(
  fc.record({
    data: jsonData,
    datacontenttype: fc.constantFrom(undefined, "application/json", "a/b+json"),
  }),
  fc.record({ data: jsonData, datacontenttype: fc.constant("application/msgpack") }),
  fc.record({ data: someText, datacontenttype: fc.constant('text/plain; charset="utf-8"') }),
  fc.record({ data: fc.uint8Array({ minLength: 1 }), datacontenttype: fc.constant("image/png") }),
  fc.record({ data: jsonData, datacontenttype: fc.constant("application/cloudevents+json") }),
  fc.record({ data: fc.constant(undefined), datacontenttype: fc.constantFrom(undefined, "a/b") }),
);

const extensionName = fc.stringMatching(/^[a-z0-9]{1,20}$/).filter((name) => !reserved.has(name));
const reserved = new Set(
  "data specversion id source type subject time datacontenttype dataschema".split(" "),
);

/** Any event whose extensions are texts, as they are after a way through headers. */
export const anyEvent: fc.Arbitrary<CloudEvent> = fc
  .record({
    id: someText,
    source: someText,
    type: someText.filter((type) => type.length <= 255),
    subject: fc.option(someText, { nil: undefined }),
    time: fc.constantFrom(undefined, "2024-02-29T23:59:59.123456789+05:30"),
    dataschema: fc.option(someText, { nil: undefined }),
    extensions: fc.dictionary(extensionName, anyText, { noNullPrototype: true }),
    content,
  })
  .map(({ content: { data, datacontenttype }, ...rest }) => {
    const given = Object.entries({ ...rest, datacontenttype }).filter(
      ([, value]) => value !== undefined,
    );
    return { ...Object.fromEntries(given), specversion: "1.0", data } as CloudEvent;
  });
