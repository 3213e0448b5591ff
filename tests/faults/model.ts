// The load and its right end state, from the seed alone. Pure: it has never seen the runtime.
// M1 An event's fate is in its data. M2 Events of a key are numbered 1, 2, 3 … and produced in that order; a repeat
// comes after its original.
import type { Random } from "./random.ts";

export interface Planned {
  /** `<key>-<n>`. */
  readonly id: string;
  readonly key: string;
  readonly n: number;
  /** How many first attempts of `flaky` fail; `always` is more than it has. */
  readonly fails: number;
  /** `doomed` never succeeds with it. */
  readonly doomed: boolean;
}

export interface Plan {
  readonly size: number;
  readonly byId: ReadonlyMap<string, Planned>;
  /** What the producer sends, by key: each event once, a share of them again a little later. */
  readonly sends: ReadonlyMap<string, readonly Planned[]>;
}

/** Attempts that `flaky` has. */
const attemptsMax = 3;
const always = 99;

export interface PlanSize {
  readonly events: number;
  readonly keys: number;
  /** Share of events that the producer sends twice. Default 3 %. */
  readonly twice?: number;
}

export function makePlan(random: Random, { events, keys, twice = 0.03 }: PlanSize): Plan {
  const byId = new Map<string, Planned>();
  const sends = new Map<string, Planned[]>();
  for (let at = 0; at < keys; at++) {
    const key = `k${at}`;
    const size = Math.floor(events / keys) + (at < events % keys ? 1 : 0);
    const sequence: Planned[] = [];
    for (let n = 1; n <= size; n++) {
      const event = { id: `${key}-${n}`, key, n, ...fate(random) };
      byId.set(event.id, event);
      sequence.push(event);
    }
    sends.set(key, withRepeats(random, sequence, twice));
  }
  return { size: byId.size, byId, sends };
}

function fate(random: Random): Pick<Planned, "fails" | "doomed"> {
  const drawn = random.next();
  const fails = drawn < 0.02 ? 1 : drawn < 0.025 ? 2 : drawn < 0.03 ? always : 0;
  return { fails, doomed: random.next() < 0.005 };
}

function withRepeats(random: Random, events: readonly Planned[], share: number): Planned[] {
  const sends: Planned[] = [];
  const owed: { event: Planned; at: number }[] = [];
  for (const event of events) {
    sends.push(event);
    if (random.next() < share) owed.push({ event, at: event.n + random.between(0, 5) });
    for (const due of owed.filter(({ at }) => at === event.n)) sends.push(due.event);
  }
  const left = owed.filter(({ at }) => at > events.length);
  return [...sends, ...left.map(({ event }) => event)];
}

/** How many of the events end in which way, for one handler. */
export interface Ends {
  readonly handled: number;
  readonly dead: number;
}

export type HandlerName = "load.relay" | "load.flaky" | "load.doomed" | "counts";

export function isDead(handler: HandlerName, event: Planned): boolean {
  if (handler === "load.flaky") return event.fails >= attemptsMax;
  return handler === "load.doomed" && event.doomed;
}

export function endsOf(handler: HandlerName, events: Iterable<Planned>): Ends {
  const ends = { handled: 0, dead: 0 };
  for (const event of events) ends[isDead(handler, event) ? "dead" : "handled"]++;
  return ends;
}

/** What the projection holds of a key: how many, and a chain over the numbers that only their order gives. */
export interface Entry {
  readonly count: number;
  readonly sum: number;
  readonly chain: number;
}

/** The same fold as the load's projection has, written a second time on purpose. */
export function entryAfter(before: Entry | undefined, n: number): Entry {
  const { count, sum, chain } = before ?? { count: 0, sum: 0, chain: 7 };
  return { count: count + 1, sum: sum + n, chain: (chain * 31 + n) % 1_000_003 };
}
