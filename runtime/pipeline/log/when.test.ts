import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWhen } from "./when.ts";

const now = Date.parse("2026-11-27T12:00:00Z");
const parse = (text: string) => parseWhen(text, ["EVENTS"], now);
const at = (text: string) => ({ kind: "time", atMs: Date.parse(text) });
const position = (seq: number) => ({ kind: "position", position: { stream: "EVENTS", seq } });

test("a moment is a time, a duration back, a position, or its bare sequence", () => {
  assert.deepEqual(parse("2026-11-27T10:00:00Z"), at("2026-11-27T10:00:00Z"));
  assert.deepEqual(parse("2026-11-27t10:00:00.25z"), at("2026-11-27T10:00:00.25Z"));
  assert.deepEqual(parse("2026-11-27T10:00+01:00"), at("2026-11-27T09:00:00Z"));
  assert.deepEqual(parse("2026-11-27T10:00:00 01:00"), at("2026-11-27T09:00:00Z"), "of a query");
  assert.deepEqual(parse("2026-11-27"), at("2026-11-27T00:00:00Z"));
  assert.deepEqual(parse("10m"), at("2026-11-27T11:50:00Z"));
  assert.deepEqual(parse("EVENTS:7"), position(7));
  assert.deepEqual(parse("7"), position(7));
  assert.deepEqual(parse("99999999999d"), { kind: "time", atMs: 0 });
  assert.deepEqual(parse(`${"9".repeat(400)}d`), { kind: "time", atMs: 0 });
});

test("what is no moment is refused with what would be one", () => {
  const cases: [string, RegExp][] = [
    ["2026-11-27T10:00:00", /must say its zone, as in 2026-11-27T10:00:00Z/],
    ["2026-11-27 10:00", /must say its zone, as in 2026-11-27T10:00:00Z/],
    ["2026-11-27 25:00", /a time that exists/],
    ["2026-02-30", /a time that exists/],
    ["2026-11-27T25:00:00Z", /a time that exists/],
    ["yesterday", /must be a time such as/],
    ["", /must be a time such as .*got ""/],
    ["-5m", /must be a time such as/],
    ["OTHER:7", /must be a position of EVENTS/],
    ["EVENTS:-1", /must be a time such as/],
    ["EVENTS:1e3", /must be a time such as/],
    ["x".repeat(1_000), /xxx\.\.\."$/],
  ];
  for (const [text, expected] of cases) {
    assert.match(String(parse(text)), expected);
  }
});

test("of a projection with further streams, positions of each of them are moments", () => {
  const parse = (text: string) => parseWhen(text, ["EVENTS", "HUB"], now);
  assert.deepEqual(parse("7"), position(7));
  assert.deepEqual(parse("HUB:7"), { kind: "position", position: { stream: "HUB", seq: 7 } });
  assert.match(String(parse("OTHER:7")), /must be a position of EVENTS or HUB, .*got "OTHER:7"/);
});
