import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { jsonData } from "./arbitraries.ts";
import { parseJson, withinDepth } from "./json-text.ts";

const padding = " ".repeat(3_000); // enough to be judged before it is parsed
const parse = (text: string, levels: number) => parseJson(Buffer.from(text), levels);

test("J1: large text is judged as its value would be", () => {
  fc.assert(
    fc.property(jsonData, fc.integer({ min: 0, max: 4 }), (value, levels) => {
      const text = JSON.stringify(value);
      const expected = withinDepth(JSON.parse(text), levels) ? "value" : "deep";
      assert.equal(parse(text, levels).kind, expected);
      assert.equal(parse(padding + text, levels).kind, expected);
    }),
  );
});

test("brackets in strings, and quotes behind backslashes, are no nesting", () => {
  const value = ["[[[", '"[[', '\\"[[', "\\", "[", '{"'];
  assert.deepEqual(parse(padding + JSON.stringify(value), 1), { kind: "value", value });
});

test("J2: text that ends early, is no UTF-8 or holds nothing is broken", () => {
  for (const text of ["", '"', '["\\', `${padding}["`, `${padding}"\\"`])
    assert.equal(parse(text, 3).kind, "broken");
  const broken = parseJson(Uint8Array.from([0x22, 0xff, 0x22]), 3);
  assert.deepEqual(broken, { kind: "broken", why: "it is not UTF-8" });
});

test("a megabyte of nesting costs no more than looking at its first bytes", () => {
  const started = performance.now();
  for (let n = 0; n < 1_000; n++) assert.equal(parseJson(mega, 64).kind, "deep");
  assert.ok(performance.now() - started < 1_000); // parsed, one alone takes 250 ms
});

const mega = Buffer.from("[".repeat(500_000) + "]".repeat(500_000));
