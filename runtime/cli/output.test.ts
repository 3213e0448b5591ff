import assert from "node:assert/strict";
import { test } from "node:test";
import type { CloudEvent } from "../events/index.ts";
import { brief, table } from "./output.ts";
import { filterOf } from "./tail.ts";
import { Chains, eventLine } from "./tail-line.ts";

test("columns are aligned, numbers to the right, and control characters shown as escapes", () => {
  const text = table(
    ["NAME", "DEAD"],
    [
      ["a", 1],
      ["b\u001b[2Jc", 12_345],
      [undefined, 3],
    ],
  );
  const rows = [
    "NAME            DEAD",
    "a                  1",
    "b\\u001b[2Jc    12345",
    "-                  3",
  ];
  assert.deepEqual(
    text.split("\n").map((row) => row.replace(/ +/g, " ")),
    rows.map((row) => row.replace(/ +/g, " ")),
  );
  assert.equal(new Set(text.split("\n").map((row) => row.length)).size, 1);
});

test("data is one short line, bytes are counted", () => {
  assert.equal(brief({ a: "x\ny" }, 100), '{"a":"x\\ny"}');
  assert.equal(brief("x".repeat(200), 10), `"${"x".repeat(8)}…`);
  assert.equal(brief(new Uint8Array(3), 10), "3 bytes");
  assert.equal(brief(undefined, 10), "");
});

test("a pattern of types is a filter of subjects, with the key behind it", () => {
  assert.equal(filterOf(">"), "events.>");
  assert.equal(filterOf("com.acme.order.placed"), "events.com.acme.order.placed.*");
  assert.equal(filterOf("com.*.order"), "events.com.*.order.*");
  assert.equal(filterOf("com.acme.>"), "events.com.acme.>");
  assert.equal(filterOf("a b.c"), "events.a=20b.c.*");
  for (const wrong of ["", "a..b", "a.>.b"])
    assert.throws(() => filterOf(wrong), { code: "EDDY_USAGE" });
});

function eventOf(id: string, causationid?: string): CloudEvent {
  const extensions: Record<string, string> = causationid === undefined ? {} : { causationid };
  return { specversion: "1.0", id, source: "/s", type: "t", extensions, data: { n: 1 } };
}

test("an event stands below the one that caused it", () => {
  const chains = new Chains();
  const depths = [eventOf("a"), eventOf("b", "a"), eventOf("c", "b"), eventOf("d", "unseen")].map(
    (event) => chains.depthOf(event),
  );
  assert.deepEqual(depths, [0, 1, 2, 1]);
  const line = eventLine(7, new Date(0), eventOf("c", "b"), 2);
  assert.match(line, /^\d\d:00:00\.000 {6}7 {5}└─ t {2}\(\/s c\) {2}\{"n":1\}$/);
});

test("no event can move the cursor of whoever looks at it", () => {
  const bell = String.fromCharCode(7);
  const event = { ...eventOf(`x${bell}`), source: `\u001b[2J`, data: bell };
  assert.doesNotMatch(eventLine(1, new Date(0), event, 0), /\p{Cc}/u);
});
