// Two versions of a handler over the same events: what differs in what they emit, in entries, and in which events fail.
// W1 Nothing is stored. W2 Ids and times of emitted events do not count, nor does the order of fields: only what a reader
// would see. W3 An event that fails in one version only is a letter, and its effects are not told as well.
import { isDeepStrictEqual } from "node:util";
import type { DifferenceKind, Handler } from "../../authoring/index.ts";
import type { BatchMessage, Broker } from "../../broker/index.ts";
import {
  type CloudEvent,
  decodeStored,
  EddyError,
  isAway,
  keyOf,
  type Position,
  positionText,
} from "../../events/index.ts";
import type { FindEntries } from "../find.ts";
import type { Terms } from "../handle.ts";
import type { Slice } from "../log/read-log.ts";
import type { ReadEntry } from "../read-entry.ts";
import { createReruns, type Failure, type Rerun, statesInMemory } from "./rerun.ts";
import { notOutside } from "./sinks.ts";

/** An emitted event as a reader sees it. */
export interface Emitted {
  readonly type: string;
  readonly key: string;
  /** Where it is too large for a message, what it would refer to: `{ dataref }`, which names its bytes. */
  readonly data: unknown;
}

/** An event, by where it stands and who it is. */
export interface Which {
  readonly position: Position;
  readonly type?: string;
  readonly source?: string;
  readonly id?: string;
}

/** `live` is what the version makes of it that runs now, `next` what the other one does. */
export type Difference =
  | ({
      readonly kind: "emits";
      readonly live: readonly Emitted[];
      readonly next: readonly Emitted[];
    } & Which)
  /** It fails in one of them, or for another reason; null where it does not. */
  | ({
      readonly kind: "letters";
      readonly live: Failure | null;
      readonly next: Failure | null;
    } & Which)
  /** null: no entry. */
  | {
      readonly kind: "entries";
      readonly key: string;
      readonly live: unknown;
      readonly next: unknown;
    };

export interface Compared {
  /** Events that at least one of them reads. */
  read: number;
  /** Events, or entries, that differ. */
  readonly differing: Record<DifferenceKind, number>;
  /** Events that fail in the live version and not in the other one; they are among the letters. */
  mended: number;
  /** The first ones. */
  readonly differences: Difference[];
}

export interface VersusParts {
  readonly live: Handler;
  readonly next: Handler;
  readonly termsOf: (version: Handler) => Terms;
  readonly readEntry: ReadEntry;
  readonly findEntries: FindEntries;
  readonly broker: Broker;
  readonly key?: string;
  /** The entry that a fold begins with. Default: none. */
  readonly entryBefore?: (key: string) => Promise<unknown>;
}

export interface Versus {
  /** Runs both over a part of the past. */
  take(slice: Slice): Promise<void>;
  /** What differs, entries too. */
  end(): Compared;
  stop(): void;
}

const differencesMax = 10_000;
const entriesMax = 500_000;

export function createVersus(parts: VersusParts): Versus {
  const sides = [parts.live, parts.next].map((handler) => {
    const states = statesInMemory(parts.entryBefore);
    const { broker, readEntry, findEntries, key } = parts;
    const terms = parts.termsOf(handler);
    const reads = { broker, readEntry, findEntries };
    const common = { handler, terms, ...reads, states, storeOutside: notOutside };
    return { states, reruns: createReruns({ ...common, ...(key === undefined ? {} : { key }) }) };
  });
  const told: Compared = {
    read: 0,
    differing: { emits: 0, entries: 0, letters: 0 },
    mended: 0,
    differences: [],
  };
  const tell = (difference: Difference) => {
    told.differing[difference.kind]++;
    if (told.differences.length < differencesMax) told.differences.push(difference);
  };

  return {
    async take({ seen }) {
      const [live = [], next = []] = await Promise.all(
        sides.map(({ reruns }, side) => reruns.run(seen[side] ?? [])),
      );
      for (const [a, b] of pairs(live, next)) {
        told.read++;
        const difference = differenceOf(a, b);
        if (difference !== undefined) tell(difference);
        if (difference?.kind === "letters" && difference.next === null) told.mended++;
      }
      const held = sides.reduce((sum, { states }) => sum + states.entries.size, 0);
      if (held > entriesMax) throw tooMany();
    },
    end() {
      const [live, next] = sides.map(({ states }) => states.entries);
      for (const key of new Set([...(live?.keys() ?? []), ...(next?.keys() ?? [])])) {
        const [a, b] = [shown(live?.get(key)), shown(next?.get(key))];
        if (!isDeepStrictEqual(a, b)) tell({ kind: "entries", key, live: a, next: b });
      }
      return told;
    },
    stop: () => {
      for (const { reruns } of sides) reruns.stop();
    },
  };
}

type Pair = readonly [Rerun | undefined, Rerun | undefined];

/** By position: a version may read types, or streams, that the other one does not. */
function pairs(live: readonly Rerun[], next: readonly Rerun[]): Iterable<Pair> {
  const found = new Map<string, Pair>();
  for (const rerun of live.filter(isMeant))
    found.set(positionText(rerun.position), [rerun, undefined]);
  for (const rerun of next.filter(isMeant)) {
    const at = positionText(rerun.position);
    found.set(at, [found.get(at)?.[0], rerun]);
  }
  return found.values();
}

const isMeant = ({ kind }: Rerun) => kind !== "otherKey";

function differenceOf(live: Rerun | undefined, next: Rerun | undefined): Difference | undefined {
  const either = live ?? next;
  if (either === undefined) return undefined;
  const [a, b] = [failureIn(live), failureIn(next)];
  if (a?.code !== b?.code) return { kind: "letters", ...which(either), live: a, next: b };
  const [before, after] = [emittedIn(live), emittedIn(next)];
  if (isDeepStrictEqual(before, after)) return undefined;
  return { kind: "emits", ...which(either), live: before, next: after };
}

function failureIn(rerun: Rerun | undefined): Failure | null {
  return rerun?.kind === "failed" ? { code: rerun.code, message: rerun.message } : null;
}

function which({ position, event }: Rerun): Which {
  if (event === undefined) return { position };
  const { type, source, id } = event;
  return { position, type, source, id };
}

function emittedIn(rerun: Rerun | undefined): Emitted[] {
  return rerun?.kind === "ran" ? rerun.emitted.map(emittedAs) : [];
}

/** An effect as its reader decodes it. */
export function emittedAs({ headerLines, data }: BatchMessage): Emitted {
  const head = Buffer.from(`NATS/1.0\r\n${headerLines}\r\n`, "latin1");
  const decoded = decodeStored(Buffer.concat([head, data]), head.byteLength);
  if (!decoded.ok) return { type: "", key: "", data: decoded.fault.message }; // whoever reads it cannot, either
  const event: CloudEvent = decoded.event;
  const outside = { dataref: event.extensions.dataref };
  return { type: event.type, key: keyOf(event), data: isAway(event) ? outside : event.data };
}

/** As it would be stored; null where there is none. */
function shown(state: unknown): unknown {
  if (state === undefined) return null;
  try {
    return JSON.parse(JSON.stringify(state)) ?? null;
  } catch {
    return "(no JSON value)";
  }
}

function tooMany(): EddyError {
  const text = `the two versions have more than ${entriesMax} entries: they are held in memory. Take fewer events (--from, --to), or one entry (--key)`;
  return new EddyError("EDDY_REPLAY_TOO_MANY", text);
}
