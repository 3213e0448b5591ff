import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyText } from "./arbitraries.ts";
import {
  decodeAttribute,
  encodeAttribute,
  headerFields,
  parseHeaderBlock,
  withoutBlanks,
} from "./headers.ts";

const wire = (text: string) => Buffer.from(text, "utf8").toString("latin1");

test("any text comes back from its header form, which is printable ASCII in one line", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      assert.match(encodeAttribute(text), /^[!-~]*$/);
      assert.equal(decodeAttribute(encodeAttribute(text)), text);
    }),
  );
});

test("raw UTF-8, latin-1 and percent-encoded values are all read", () => {
  assert.equal(decodeAttribute(wire("é € 😀")), "é € 😀");
  assert.equal(decodeAttribute("caf\xe9"), "café");
  assert.equal(decodeAttribute("Euro%20%E2%82%AC%20%f0%9f%98%80"), "Euro € 😀");
  assert.equal(decodeAttribute(wire("é%20€")), "é €");
});

test("a per cent sign of a producer that does not encode is kept", () => {
  for (const text of ["100%", "5% off", "%zz", "%4", "%"])
    assert.equal(decodeAttribute(text), text);
});

test("percent-encoded bytes that are not UTF-8 are refused (HTTP binding 3.1.3.2)", () => {
  for (const text of ["%C0%A0", "%FF", "a%80"]) assert.equal(decodeAttribute(text), undefined);
});

test("a quoted value is unescaped, then percent-decoded; a half-quoted one is kept", () => {
  assert.equal(decodeAttribute('"a \\"b\\" \\\\ %41"'), 'a "b" \\ A');
  assert.equal(decodeAttribute('"'), '"');
  assert.equal(decodeAttribute('1"é'), '1"é');
  assert.equal(decodeAttribute('"a\\"'), '"a\\"');
});

test("decoding throws for no bytes at all", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeAttribute(Buffer.from(bytes).toString("latin1"));
      parseHeaderBlock(bytes);
      parseHeaderBlock(Buffer.concat([Buffer.from("NATS/1.0\r\n"), bytes]));
    }),
    { numRuns: 500 },
  );
});

test("a header block gives lower-case names and all values of each", () => {
  const fields = parseHeaderBlock(
    Buffer.from("NATS/1.0\r\nCE-Id: \t a \r\nce-id:b\r\nempty:\r\nno colon\r\n\r\n"),
  );
  assert.deepEqual(
    [...fields],
    [
      ["ce-id", ["a", "b"]],
      ["empty", [""]],
    ],
  );
  assert.deepEqual([...parseHeaderBlock(Buffer.from("NATS/1.0 503\r\n\r\n"))], []);
});

test("a letter whose last byte looks like a blank in latin-1 is not cut", () => {
  const fields = parseHeaderBlock(Buffer.from("NATS/1.0\r\nce-id: voilà\r\n\r\n"));
  assert.equal(decodeAttribute(fields.get("ce-id")?.[0] ?? ""), "voilà");
  assert.equal(
    decodeAttribute(headerFields([["ce-id", wire("voilà")]]).get("ce-id")?.[0] ?? ""),
    "voilà",
  );
});

test("a header named __proto__ is a name like any other", () => {
  const fields = parseHeaderBlock(Buffer.from("NATS/1.0\r\n__proto__: x\r\n\r\n"));
  assert.deepEqual([...fields], [["__proto__", ["x"]]]);
  assert.equal(Reflect.get({}, "x"), undefined);
});

test("blanks around a value go, however many stand within it, and in no time", () => {
  assert.equal(withoutBlanks(" \ta\u00a0 b\t "), "a\u00a0 b");
  assert.equal(withoutBlanks("\t "), "");
  const blanks = `a${" ".repeat(60_000)}b`;
  const began = performance.now();
  for (let n = 0; n < 100; n++) assert.equal(withoutBlanks(` ${blanks} `), blanks);
  assert.ok(performance.now() - began < 2_000, "with the square of it, one takes seconds");
});
