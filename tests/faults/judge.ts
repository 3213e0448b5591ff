// Compares what a fault left with what the model says. Pure: it gets what was read raw from the server.
// J1 Lost: an event that was acknowledged and is not in the log, or a handler's effect, letter or entry that is
// missing. J2 Doubled: one too many of them. J3 Disordered: effects of a key, or folds of an entry, out of order.
// J4 Miscounted: a count of `eddy handlers` that is not the model's, a sum that does not come out, or anything that
// `eddy reconcile` finds.
import type { Logged } from "./log.ts";
import {
  type Entry,
  endsOf,
  entryAfter,
  type HandlerName,
  isDead,
  type Plan,
  type Planned,
} from "./model.ts";

export interface Counts {
  readonly name: string;
  readonly delivered: number;
  readonly handled: number;
  readonly duplicate: number;
  readonly filtered: number;
  readonly expired: number;
  readonly retrying: number;
  readonly dead: number;
}

export interface Evidence {
  readonly plan: Plan;
  /** What has to have been handled; the plan, unless the home stream was deleted. */
  readonly expected: ReadonlySet<string>;
  readonly log: readonly Logged[];
  /** Dead letters, as `<handler> <sequence of the event>`. */
  readonly letters: ReadonlySet<string>;
  /** Letters of an earlier home stream. */
  readonly lettersBefore: ReadonlySet<string>;
  /** Letters of events below this sequence were deleted by the fault: they may be there or not. */
  readonly lettersFrom: number;
  readonly entries: ReadonlyMap<string, unknown>;
  /** Events that the projection met in earlier home streams, repeats too. */
  readonly metBefore: readonly string[];
  /** What `eddy reconcile` found. */
  readonly findings: readonly string[];
  /** Of reactions they begin with the home stream. */
  readonly counts: readonly Counts[];
}

export interface Judgement {
  readonly lost: number;
  readonly doubled: number;
  readonly disordered: number;
  readonly miscounted: number;
  readonly gapMs: number;
  readonly notes: readonly string[];
}

class Tally {
  lost = 0;
  doubled = 0;
  disordered = 0;
  miscounted = 0;
  readonly notes: string[] = [];

  add(
    kind: "lost" | "doubled" | "disordered" | "miscounted",
    ids: readonly string[],
    what: string,
  ) {
    if (ids.length === 0) return;
    this[kind] += ids.length;
    const shown = ids.slice(0, 5).join(", ");
    this.notes.push(`${ids.length} ${kind}: ${what} ${shown}${ids.length > 5 ? ", …" : ""}`);
  }
}

const handlers: readonly HandlerName[] = ["load.relay", "load.flaky", "load.doomed", "counts"];

export function judge(evidence: Evidence): Judgement {
  const tally = new Tally();
  const { log, expected, plan } = evidence;
  const firsts = firstSequences(log);
  const events = [...expected].flatMap((id) => plan.byId.get(id) ?? []);
  const missing = events.filter(({ id }) => !firsts.has(id)).map(({ id }) => id);
  tally.add("lost", missing, "acknowledged, but not in the log:");
  judgeEffects(tally, log, "noted", "load.relay", events);
  judgeEffects(tally, log, "tried", "load.flaky", events);
  judgeOrder(tally, log, "noted", plan);
  judgeOrder(tally, log, "tried", plan);
  judgeLetters(tally, evidence, firsts, events);
  judgeEntries(tally, evidence, events);
  for (const name of handlers) judgeCounts(tally, evidence, name, events);
  tally.add("miscounted", evidence.findings, "eddy reconcile says");
  const { lost, doubled, disordered, miscounted, notes } = tally;
  return { lost, doubled, disordered, miscounted, gapMs: longestGapMs(log), notes };
}

function firstSequences(log: readonly Logged[]): Map<string, number> {
  const firsts = new Map<string, number>();
  for (const { kind, id, seq } of log)
    if (kind === "placed" && !firsts.has(id)) firsts.set(id, seq);
  return firsts;
}

function judgeEffects(
  tally: Tally,
  log: readonly Logged[],
  kind: "noted" | "tried",
  handler: HandlerName,
  events: readonly Planned[],
): void {
  const found = new Map<string, number>();
  const ownIds = new Set<string>();
  const sameId: string[] = [];
  for (const entry of log) {
    if (entry.kind !== kind) continue;
    found.set(entry.id, (found.get(entry.id) ?? 0) + 1);
    if (ownIds.has(entry.ownId)) sameId.push(entry.ownId);
    ownIds.add(entry.ownId);
  }
  const due = new Set(events.filter((event) => !isDead(handler, event)).map(({ id }) => id));
  const lost = [...due].filter((id) => !found.has(id));
  tally.add("lost", lost, `no effect of ${handler} for`);
  const doubled = [...found].flatMap(([id, times]) =>
    Array.from({ length: due.has(id) ? times - 1 : times }, () => id),
  );
  tally.add("doubled", doubled, `an effect too many of ${handler} for`);
  tally.add("doubled", sameId, `${kind} events with one id:`);
}

// A key's events stand in the log in the order of their numbers (L1), so its effects have to; those of `flaky` too,
// whose failing events hold their key's later ones back.
function judgeOrder(
  tally: Tally,
  log: readonly Logged[],
  effect: "noted" | "tried",
  plan: Plan,
): void {
  const last = new Map<string, number>();
  const wrong: string[] = [];
  for (const { kind, id } of log) {
    const event = kind === effect ? plan.byId.get(id) : undefined;
    if (event === undefined) continue;
    const before = last.get(event.key) ?? 0;
    if (event.n < before) wrong.push(`${id} after ${event.key}-${before}`);
    last.set(event.key, Math.max(before, event.n));
  }
  tally.add("disordered", wrong, `${effect} events:`);
}

function judgeLetters(
  tally: Tally,
  { letters, lettersBefore, lettersFrom }: Evidence,
  firsts: ReadonlyMap<string, number>,
  events: readonly Planned[],
): void {
  const rightful = new Set(lettersBefore);
  const lost: string[] = [];
  for (const event of events) {
    for (const handler of handlers.filter((name) => isDead(name, event))) {
      const seq = firsts.get(event.id) ?? 0;
      const letter = `${handler} ${seq}`;
      rightful.add(letter);
      if (seq >= lettersFrom && !letters.has(letter)) lost.push(letter);
    }
  }
  tally.add("lost", lost, "no dead letter of (handler, sequence)");
  const strange = [...letters].filter((letter) => !rightful.has(letter));
  tally.add("doubled", strange, "dead letters that nothing explains:");
}

function judgeEntries(tally: Tally, evidence: Evidence, events: readonly Planned[]): void {
  const due = new Map<string, Entry>();
  const fold = ({ key, n }: Planned) => due.set(key, entryAfter(due.get(key), n));
  for (const id of new Set(evidence.metBefore)) {
    const event = evidence.plan.byId.get(id);
    if (event !== undefined) fold(event);
  }
  for (const event of events) fold(event);
  const lost: string[] = [];
  const doubled: string[] = [];
  const disordered: string[] = [];
  for (const [key, entry] of due) {
    const found = evidence.entries.get(key);
    const { count, chain } = isEntry(found) ? found : { count: 0, chain: 0 };
    lost.push(...times(entry.count - count, key));
    doubled.push(...times(count - entry.count, key));
    if (count === entry.count && chain !== entry.chain) disordered.push(key);
  }
  tally.add("lost", lost, "folds of the entries");
  tally.add("doubled", doubled, "folds of the entries");
  tally.add("disordered", disordered, "folds of the entries");
}

function judgeCounts(
  tally: Tally,
  { counts, log, metBefore }: Evidence,
  name: HandlerName,
  events: readonly Planned[],
): void {
  const row = counts.find((found) => found.name === name);
  if (row === undefined) {
    tally.add("miscounted", [name], "no counts of");
    return;
  }
  const placed = log.filter(({ kind }) => kind === "placed");
  const ends = endsOf(name, events);
  const met = name === "counts" ? metBefore : [];
  const before = new Set(met).size;
  const due = {
    delivered: placed.length + met.length,
    handled: ends.handled + before,
    duplicate: placed.length - events.length + met.length - before,
    filtered: 0,
    expired: 0,
    retrying: 0,
    dead: ends.dead,
  };
  const wrong = Object.entries(due)
    .filter(([field, value]) => Reflect.get(row, field) !== value)
    .map(([field, value]) => `${field} is ${Reflect.get(row, field)} instead of ${value}`);
  tally.add("miscounted", wrong, `${name}:`);
  const sum = row.handled + row.duplicate + row.filtered + row.expired + row.retrying + row.dead;
  if (sum !== row.delivered)
    tally.add("miscounted", [`${sum} of ${row.delivered}`], `${name} sums`);
}

/** By the server's clock: from one effect of `relay` to the next, as long as an event stands in the log without one. */
export function longestGapMs(log: readonly Logged[]): number {
  const open = new Set<string>();
  const done = new Set<string>();
  let since = 0;
  let longest = 0;
  for (const { kind, id, timeMs } of log) {
    if (kind === "placed" && !done.has(id)) {
      if (open.size === 0) since = timeMs;
      open.add(id);
    } else if (kind === "noted") {
      if (open.size > 0) longest = Math.max(longest, timeMs - since);
      since = timeMs;
      open.delete(id);
      done.add(id);
    }
  }
  return Math.round(longest);
}

function times(count: number, key: string): string[] {
  return Array.from({ length: Math.max(0, count) }, () => key);
}

function isEntry(value: unknown): value is Entry {
  return typeof value === "object" && value !== null && "count" in value && "chain" in value;
}
