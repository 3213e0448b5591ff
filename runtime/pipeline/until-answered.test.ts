import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fact } from "./facts.ts";
import type { Scope } from "./scope.ts";
import { untilAnswered } from "./until-answered.ts";

test("U3: a hundred that wait for one answer say so once, and once that it came", async () => {
  const facts: Fact[] = [];
  const scope = {
    around: { report: (fact: Fact) => facts.push(fact) },
    handler: () => ({ name: "note" }),
    ensureStreams: async () => {},
    alive: () => true,
  } as unknown as Scope;
  let answers = false;
  const work = async (n: number) => {
    if (!answers) throw new Error("no answer");
    return n;
  };
  const all = Array.from({ length: 100 }, (_, n) => untilAnswered(scope, "CODE", () => work(n)));
  setTimeout(() => {
    answers = true;
  }, 150);
  assert.equal((await Promise.all(all)).length, 100);
  const kinds = facts.map((fact) => fact.kind);
  assert.deepEqual(kinds, ["trouble", "mended"]);
});
