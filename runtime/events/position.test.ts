import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePosition, positionText } from "./position.ts";

test("a position reads back from its text, also of a stream with a colon in its name", () => {
  for (const position of [
    { stream: "EVENTS", seq: 0 },
    { stream: "a:7", seq: 123_456_789_012_345 },
  ]) {
    assert.deepEqual(parsePosition(positionText(position)), position);
  }
});

test("text that is no position is none", () => {
  for (const text of [
    "",
    "7",
    ":7",
    "EVENTS:",
    "EVENTS:-1",
    "EVENTS:1.5",
    "a b:7",
    "a.b:7",
    "a/b:7",
    "E:1e3",
  ]) {
    assert.equal(parsePosition(text), undefined, text);
  }
});
