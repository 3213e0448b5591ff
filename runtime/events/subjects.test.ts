import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyText } from "./arbitraries.ts";
import {
  eventSubject,
  narrowestFilter,
  token,
  tokenCharsMax,
  typeFilter,
  untoken,
} from "./subjects.ts";

test("S1: whatever the text, its token is one legal subject token", () => {
  fc.assert(
    fc.property(fc.oneof(anyText, fc.string({ unit: "binary", maxLength: 2_000 })), (text) => {
      assert.match(token(text), /^[A-Za-z0-9_=-]+$/);
      assert.ok(token(text).length <= tokenCharsMax);
    }),
  );
});

test("S2: a token gives its text back", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const encoded = token(text);
      if (encoded.length < 194) assert.equal(untoken(encoded), text);
    }),
  );
  for (const text of ["", "=", "a.b", "*", ">", "=41", "%41", "é€😀", "\0\r\n", "a b"]) {
    assert.equal(untoken(token(text)), text);
  }
});

test("S2: texts too long for a token stay distinct, and say that they cannot be read back", () => {
  const [one, two] = [`${"é".repeat(5_000)}1`, `${"é".repeat(5_000)}2`];
  assert.notEqual(token(one), token(two));
  assert.equal(untoken(token(one)), undefined);
  assert.notEqual(token("a".repeat(256)), token("a".repeat(257)));
});

test("S2: texts that differ in an unpaired surrogate only have different tokens", () => {
  const tokens = ["\ud800", "\ud801", "\udc00", "\ufffd"].map(token);
  assert.equal(new Set(tokens).size, tokens.length);
});

test("what is no token of ours is not decoded", () => {
  for (const foreign of ["a.b", "é", "=4", "=4g", "a=", "=FF", ""]) {
    assert.equal(untoken(foreign), undefined, foreign);
  }
});

test("an event's subject has its type's tokens and one for its key", () => {
  assert.equal(eventSubject("com.acme.x", "a.b *>"), "events.com.acme.x.a=2Eb=20=2A=3E");
  assert.equal(eventSubject("a..b", ""), "events.a.=.b.=");
  assert.equal(typeFilter("com.acme.x"), "events.com.acme.x.*");
});

test("the narrowest filter covers all types with one wildcard", () => {
  assert.equal(narrowestFilter(["a.b", "a.b"]), "events.a.b.*");
  assert.equal(narrowestFilter(["a.b", "a.c.d"]), "events.a.>");
  assert.equal(narrowestFilter(["a", "a.b"]), "events.a.>");
  assert.equal(narrowestFilter(["a", "b"]), "events.>");
  assert.throws(() => narrowestFilter([]), RangeError);
});
