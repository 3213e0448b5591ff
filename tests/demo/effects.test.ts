import assert from "node:assert/strict";
import { test } from "node:test";
import { differences, type Effects } from "./effects.ts";

const row = {
  name: "greet",
  kind: "reaction",
  file: "greet.ts",
  version: "00000000",
  state: "running",
  delivered: 2,
  handled: 2,
  duplicate: 0,
  filtered: 0,
  expired: 0,
  retrying: 0,
  dead: 0,
  lag: 0,
} as const;

const effects: Effects = {
  handlers: [row],
  projections: [{ name: "visitors", entries: 1 }],
  dead: 0,
  emitted: 2,
  revisions: new Map([["visitors/Ada", 7]]),
};

test("a duplicate is no effect; a handled event, an emitted one, a letter, a new or rewritten entry is", () => {
  const duplicate = { ...row, delivered: 4, duplicate: 2 };
  assert.deepEqual(differences(effects, { ...effects, handlers: [duplicate] }), []);
  const more: Effects = {
    ...effects,
    handlers: [{ ...row, delivered: 3, handled: 3 }],
    dead: 1,
    emitted: 3,
    revisions: new Map([
      ["visitors/Ada", 8],
      ["visitors/Bob", 9],
    ]),
  };
  assert.deepEqual(differences(effects, more), [
    "emitted events: 2 before, 3 after",
    "dead letters: 0 before, 1 after",
    "handled by greet: 2 before, 3 after",
    "revision of visitors/Ada: 7 before, 8 after",
    "revision of visitors/Bob: 0 before, 9 after",
  ]);
  assert.equal(differences(more, effects).length, 5);
});
