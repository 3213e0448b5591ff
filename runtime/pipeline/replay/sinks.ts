// What becomes of the results of a replay: looked at only, stored in place where it is missing, or kept in a shadow.
import { type Handler, parseDuration } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { type Position, token } from "../../events/index.ts";
import type { StoreOutside } from "../away/store.ts";
import { count, noCounts } from "../ledger/counts.ts";
import { type Place, placeOf } from "../ledger/place.ts";
import type { UpTo } from "../log/moment.ts";
import { sourceOf } from "../terms.ts";
import { readEffects, readHandled } from "./in-place.ts";
import { createKeeper, readKept, type Unit } from "./keeper.ts";
import { type Rerun, type States, statesInMemory } from "./rerun.ts";
import type { Shadow } from "./shadow.ts";
import type { Span } from "./span.ts";

/** Why an event of the span was not run, or its effects were left as they are. */
export type Left = "unsettled" | "dead" | "expired";

export interface Sink {
  /** Where a projection's entries come from, and go to. */
  readonly states: States;
  /** Nothing at or below is run again. */
  readonly floors: UpTo;
  /** Why an event is left alone; undefined where it is run. */
  leaves(position: Position): Left | undefined;
  readonly storeOutside: StoreOutside;
  take(reruns: readonly Rerun[], upTo: readonly Position[]): Promise<void>;
  /** All was read. */
  end(upTo: readonly Position[]): Promise<void>;
  readonly tally: Tally;
}

export interface Tally {
  /** Effects of the events that were run. */
  emitted: number;
  /** Of these: the log has them already. */
  there: number;
  stored: number;
  /** Events whose effects are missing, but which may have expired when it was their turn. */
  expired: number;
}

function noTally(): Tally {
  return { emitted: 0, there: 0, stored: 0, expired: 0 };
}

const noFloors: UpTo = new Map();

/** Where nothing is stored. */
export const notOutside: StoreOutside = async () => {};

function storeOutsideIn({ objects }: Broker): StoreOutside {
  return ({ ref, data }, { natsSubject }) => objects.put(ref, data, natsSubject);
}

/** Stores nothing. */
export async function lookOnly(broker: Broker, handler: Handler, span: Span): Promise<Sink> {
  const tally = noTally();
  const place = placeOf(handler, broker);
  const source = sourceOf(broker.app, handler.name);
  const effects =
    handler.declaration.kind === "reaction"
      ? await readEffects(broker, place, source, span)
      : undefined;
  return {
    states: statesInMemory(),
    floors: noFloors,
    leaves: () => undefined,
    storeOutside: notOutside,
    async take(reruns) {
      for (const { emitted } of reruns.filter(ran)) {
        tally.emitted += emitted.length;
        for (const { identity } of emitted)
          if (identity !== undefined && effects?.has(identity)) tally.there++;
      }
    },
    end: async () => {},
    tally,
  };
}

/** Stores the effects that are missing of events that the handler has handled; with `dry` only counts them. */
export async function mendInPlace(
  broker: Broker,
  handler: Handler,
  span: Span,
  createdMs: number,
  dry: boolean,
): Promise<Sink> {
  const place = placeOf(handler, broker);
  const fence: Place = { stream: broker.home, ledger: fenceSubject(broker.app, handler.name) };
  const found = await readKept(broker, fence); // before all else: what somebody stores from here on is noticed
  const handled = await readHandled(broker, place);
  const effects = await readEffects(broker, place, sourceOf(broker.app, handler.name), span);
  const inputs = [{ stream: broker.home, createdMs, floor: 0 }];
  const keeper = createKeeper(broker, fence, found, { handler: handler.name }, inputs);
  const store = storeOutsideIn(broker);
  const tally = noTally();
  const counts = noCounts();

  return {
    states: statesInMemory(),
    floors: noFloors,
    leaves(position) {
      const past = handled(position.seq);
      return past === "handled" ? undefined : past;
    },
    async storeOutside(claim, effect) {
      if (dry || (effect.identity && effects.has(effect.identity))) return;
      await store(claim, effect);
    },
    async take(reruns, upTo) {
      const units = reruns.filter(ran).flatMap((rerun): Unit[] => {
        const messages = rerun.emitted.filter(
          ({ identity }) => !identity || !effects.has(identity),
        );
        tally.emitted += rerun.emitted.length;
        tally.there += rerun.emitted.length - messages.length;
        if (messages.length === 0) return [];
        if (messages.length === rerun.emitted.length && mayHaveExpired(handler, rerun)) {
          tally.expired++;
          return [];
        }
        return [{ position: rerun.position, messages, counts }];
      });
      const missing = units.reduce((sum, { messages }) => sum + messages.length, 0);
      if (missing === 0 || dry) return;
      await keeper.store(units, { upTo, counts, clean: true });
      tally.stored += missing;
    },
    end: async () => {},
    tally,
  };
}

/** Where replays of a handler fence each other. No app's name as a token has `==` in it. */
function fenceSubject(app: string, handler: string): string {
  return `ledger.replay==.${token(app)}.${token(handler)}`;
}

// The ledger counts what has expired, and does not say which events that were.
function mayHaveExpired({ declaration }: Handler, { event }: Rerun): boolean {
  const maxAgeMs = parseDuration(declaration.options.maxAge);
  return maxAgeMs !== undefined || event?.extensions.expirytime !== undefined;
}

/** Stores effects or entries with a ledger of its own. */
export function keepInShadow(broker: Broker, { keeper, start, entries }: Shadow): Sink {
  const tally = noTally();
  const counts = { ...start.counts };

  function unitOf(rerun: Rerun): Unit {
    count(counts, { from: "new", to: countedAs(rerun) }, 1);
    const messages = messagesOf(rerun);
    return { position: rerun.position, messages, counts: { ...counts } };
  }

  function messagesOf(rerun: Rerun): Unit["messages"] {
    if (rerun.kind === "ran") {
      tally.emitted += rerun.emitted.length;
      return rerun.emitted;
    }
    return rerun.kind === "folded" && rerun.message !== undefined ? [rerun.message] : [];
  }

  return {
    states: {
      known: (key) => entries?.known(key),
      read: async (key) => await entries?.read(key),
      put: (key, next, marks) => entries?.fold(key, next, marks),
    },
    floors: start.floors,
    leaves: () => undefined,
    storeOutside: storeOutsideIn(broker),
    async take(reruns, upTo) {
      const units = reruns.filter(({ kind }) => kind !== "otherKey").map(unitOf);
      if (units.length === 0) return;
      await keeper.store(units, { upTo, counts: { ...counts }, clean: false });
      tally.stored += units.reduce((sum, { messages }) => sum + messages.length, 0);
    },
    end: (upTo) => keeper.store([], { upTo, counts: { ...counts }, clean: true }),
    tally,
  };
}

function countedAs({ kind }: Rerun): "handled" | "duplicate" | "filtered" | "dead" {
  switch (kind) {
    case "ran":
    case "folded":
      return "handled";
    case "failed":
      return "dead";
    case "duplicate":
    case "filtered":
      return kind;
    case "otherKey":
      return "filtered";
  }
}

function ran(rerun: Rerun): rerun is Extract<Rerun, { kind: "ran" }> {
  return rerun.kind === "ran";
}
