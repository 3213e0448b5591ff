import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bounds, isRfc3339, makeEvent } from "./attributes.ts";

const legal = { specversion: "1.0", id: "1", source: "/s", type: "t" };

function blamed(changes: Record<string, unknown>): string | undefined {
  const made = makeEvent(new Map(Object.entries({ ...legal, ...changes })), undefined);
  if (made.ok) return undefined;
  assert.equal(made.fault.code, "EDDY_EVENT_ATTRIBUTE");
  assert.ok(made.fault.message.length < 400, made.fault.message);
  return made.fault.attribute;
}

test("a required attribute that is missing, empty or no string is named", () => {
  for (const name of ["id", "source", "type"]) {
    for (const value of [undefined, null, "", 1, true, {}, [], 1n]) {
      assert.equal(blamed({ [name]: value }), name);
    }
  }
  for (const value of [undefined, "", "0.3", "1.0 ", 1, 1.0]) {
    assert.equal(blamed({ specversion: value }), "specversion");
  }
});

test("an optional attribute may be missing or null, but not empty or no string", () => {
  for (const name of ["subject", "datacontenttype", "dataschema", "time"]) {
    assert.equal(blamed({ [name]: null }), undefined);
    for (const value of ["", 1, {}]) assert.equal(blamed({ [name]: value }), name);
  }
});

test("ids, sources, subjects and keys may hold anything that is Unicode text", () => {
  for (const text of ["a.b", " ", "*", ">", "\r\n", "\0", "😀", "x".repeat(10_000)]) {
    for (const name of ["id", "source", "subject", "partitionkey"]) {
      assert.equal(blamed({ [name]: text }), undefined);
    }
  }
});

test("an unpaired surrogate is refused: in UTF-8 two ids would become one", () => {
  for (const name of ["id", "source", "type", "subject", "partitionkey"]) {
    assert.equal(blamed({ [name]: "a\ud800" }), name);
    assert.equal(blamed({ [name]: "\udc00😀" }), name);
  }
});

test("attributes are bounded in bytes, types in characters, extensions in number", () => {
  assert.equal(blamed({ id: "é".repeat(bounds.attributeBytesMax / 2) }), undefined);
  assert.equal(blamed({ id: "é".repeat(bounds.attributeBytesMax / 2 + 1) }), "id");
  assert.equal(blamed({ type: "t".repeat(bounds.typeCharsMax + 1) }), "type");
  assert.equal(blamed({ time: `2024-01-01T00:00:00.${"0".repeat(20_000)}Z` }), "time");
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`x${n}`, "v"]));
  assert.equal(blamed(many), "x64");
});

test("extensions have legal names and are strings, safe integers or booleans", () => {
  for (const name of ["A", "a-b", "a_b", "é", "", "__proto__", "data", "a".repeat(65)]) {
    assert.equal(blamed({ [name]: "v" }) ?? "", name, name);
  }
  for (const value of [1.5, 1e300, Number.NaN, {}, [], 5n, Symbol("s")]) {
    assert.equal(blamed({ ext: value }), "ext");
  }
  for (const value of ["", 0, -5, 3e9, false]) assert.equal(blamed({ ext: value }), undefined);
});

test("a time is one that RFC 3339 allows, on a day that exists", () => {
  for (const time of [
    "2024-02-29T00:00:00Z",
    "2024-01-31t23:59:59.999999999z",
    "2024-01-01T00:00:00-23:59",
  ]) {
    assert.ok(isRfc3339(time), time);
  }
  for (const time of [
    "2023-02-29T00:00:00Z",
    "2023-04-31T00:00:00Z",
    "2023-01-01T24:00:00Z",
    "2023-01-01 00:00:00Z",
    "2023-01-01T00:00:00",
    "2023-01-01",
    "Sun, 01 Jan 2023 00:00:00 GMT",
    "1672531200",
  ]) {
    assert.equal(isRfc3339(time), false, time);
  }
});

test("a content type is printable ASCII, so that it can be a header as it is", () => {
  for (const type of ["text/plain\r\nNats-Rollup: all", "é/x", " a/b", "a/b ", "a\0b"]) {
    assert.equal(blamed({ datacontenttype: type }), "datacontenttype");
  }
  assert.equal(blamed({ datacontenttype: 'text/plain; charset="utf-8"' }), undefined);
});

test("no attributes of any kind make it throw or reach a prototype", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.oneof(fc.constant("__proto__"), fc.string()), fc.anything())),
      (pairs) => {
        makeEvent(new Map([...Object.entries(legal), ...pairs]), undefined);
        assert.deepEqual(Object.keys(Object.prototype), []);
      },
    ),
  );
});
