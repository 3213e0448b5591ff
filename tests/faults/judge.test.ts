// A judge that finds nothing wrong is worth something only if it finds what is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Evidence, judge, longestGapMs } from "./judge.ts";
import type { Logged } from "./log.ts";
import { type Entry, endsOf, entryAfter, type HandlerName, isDead, makePlan } from "./model.ts";
import { createRandom } from "./random.ts";

const names: HandlerName[] = ["load.relay", "load.flaky", "load.doomed", "counts"];

/** What a world without faults would leave. */
function soundEvidence(): Evidence {
  const plan = makePlan(createRandom(7), { events: 600, keys: 12 });
  const log: Logged[] = [];
  const letters = new Set<string>();
  const entries = new Map<string, Entry>();
  const seen = new Set<string>();
  const add = (kind: Logged["kind"], id: string) =>
    log.push({ kind, id, seq: log.length + 1, timeMs: log.length, ownId: `${kind} ${log.length}` });
  for (const event of [...plan.sends.values()].flat()) {
    add("placed", event.id);
    if (seen.has(event.id)) continue;
    seen.add(event.id);
    for (const name of names) if (isDead(name, event)) letters.add(`${name} ${log.length}`);
    entries.set(event.key, entryAfter(entries.get(event.key), event.n));
    add("noted", event.id);
    if (!isDead("load.flaky", event)) add("tried", event.id);
  }
  const delivered = log.filter(({ kind }) => kind === "placed").length;
  const counts = names.map((name) => {
    const ends = endsOf(name, plan.byId.values());
    return {
      name,
      delivered,
      duplicate: delivered - plan.size,
      filtered: 0,
      expired: 0,
      retrying: 0,
      ...ends,
    };
  });
  const expected = new Set(plan.byId.keys());
  const none = { lettersBefore: new Set<string>(), lettersFrom: 0, metBefore: [], findings: [] };
  return { plan, expected, log, letters, entries, counts, ...none };
}

const found = (evidence: Evidence) => {
  const { lost, doubled, disordered, miscounted } = judge(evidence);
  return { lost, doubled, disordered, miscounted };
};
const sound = { lost: 0, doubled: 0, disordered: 0, miscounted: 0 };

test("what is right is found right", () => {
  const evidence = soundEvidence();
  assert.deepEqual(found(evidence), sound);
  assert.ok(evidence.letters.size > 0, "the load has dead letters");
});

test("J1 J2: an effect, a letter or a fold that is missing is lost, one too many is doubled", () => {
  const evidence = soundEvidence();
  const at = evidence.log.findIndex(({ kind }) => kind === "noted");
  const effect = evidence.log[at] as Logged;
  const log = (entries: Logged[]) => ({ ...evidence, log: entries });
  assert.deepEqual(found(log(evidence.log.toSpliced(at, 1))), { ...sound, lost: 1 });
  const again = { ...effect, ownId: "another" };
  assert.deepEqual(found(log(evidence.log.toSpliced(at, 0, again))), { ...sound, doubled: 1 });
  const letters = new Set([...evidence.letters].slice(1));
  assert.deepEqual(found({ ...evidence, letters }), { ...sound, lost: 1 });
  const strange = new Set([...evidence.letters, "load.relay 1"]);
  assert.deepEqual(found({ ...evidence, letters: strange }), { ...sound, doubled: 1 });
  const entry = evidence.entries.get("k3") as Entry;
  const with3 = (changed: Entry) => ({
    ...evidence,
    entries: new Map(evidence.entries).set("k3", changed),
  });
  assert.equal(found(with3({ ...entry, count: entry.count - 1 })).lost, 1);
  assert.equal(found(with3({ ...entry, count: entry.count + 2 })).doubled, 2);
  assert.equal(found(with3({ ...entry, chain: entry.chain + 1 })).disordered, 1);
});

test("J3: effects of a key that change places are out of order", () => {
  const { log, ...evidence } = soundEvidence();
  const of1 = log.filter(({ kind, id }) => kind === "noted" && id.startsWith("k1-"));
  const [first, second] = of1 as [Logged, Logged];
  const swapped = log.map((e) => (e === first ? second : e === second ? first : e));
  assert.deepEqual(found({ ...evidence, log: swapped }), { ...sound, disordered: 1 });
});

test("J4: a count that is not the model's is found, and a sum that does not come out", () => {
  const { counts, ...evidence } = soundEvidence();
  const wrong = counts.map((row, at) => (at === 0 ? { ...row, handled: row.handled - 1 } : row));
  assert.deepEqual(found({ ...evidence, counts: wrong }), { ...sound, miscounted: 2 });
});

test("the longest gap counts only while there is work, and to its next effect", () => {
  const at = (kind: Logged["kind"], id: string, timeMs: number): Logged => {
    return { kind, id, timeMs, seq: timeMs, ownId: `${kind}${timeMs}` };
  };
  const log = [at("placed", "a", 100), at("noted", "a", 150), at("placed", "b", 9_000)];
  log.push(at("placed", "c", 9_100), at("noted", "c", 9_300), at("noted", "b", 9_400));
  assert.equal(longestGapMs(log), 300);
});
