// Keys of ordered handlers in memory: which event holds its key, and what is parked behind it. The rules are the
// pipeline's own. Nobody is there to decide about a dead letter: a key that one holds stays held.
import type { Handler } from "../authoring/index.ts";
import { type CloudEvent, keyOf, type Position } from "../events/index.ts";
import { entryKey } from "../pipeline/fold.ts";
import { afterVerdict, type Ended, type Held, policyOf } from "../pipeline/held/states.ts";
import type { Verdict } from "./attempt.ts";

/** An event of the lane. */
interface Passenger {
  readonly seq: number;
  readonly event: CloudEvent;
}

class MemoryLane<Item extends Passenger> {
  readonly #policy: "continue" | "hold";
  readonly #parked: Item[] = [];
  #held: Held | undefined;

  constructor(policy: "continue" | "hold") {
    this.#policy = policy;
  }

  /** Parks an event that comes for the first time, where the key is held. */
  park(item: Item): boolean {
    if (this.#held === undefined) return false;
    this.#parked.push(item);
    return true;
  }

  settle({ seq, event }: Item, attempt: number, verdict: Verdict): void {
    const position: Position = { stream: "EVENTS", seq };
    const by = { position, source: event.source, id: event.id };
    const change = afterVerdict(this.#roleOf(seq), endedOf(attempt, verdict), by, this.#policy);
    if (change.kind === "goes on") this.#held = { kind: "draining" };
    else if (change.kind !== "as it was") this.#held = change;
  }

  /** The parked event that comes next; undefined where the key is held, or nothing is left. */
  next(): Item | undefined {
    if (this.#held?.kind !== "draining") return undefined;
    const next = this.#parked.shift();
    if (next === undefined) this.#held = undefined;
    return next;
  }

  #roleOf(seq: number) {
    const held = this.#held;
    if (held === undefined) return "first";
    if (held.kind === "draining") return "follower";
    return held.by.position.seq === seq ? "holder" : "passed";
  }
}

export class MemoryLanes<Item extends Passenger> {
  readonly #lanes = new Map<string, MemoryLane<Item>>();

  /** The lane of the event's key; undefined where the handler asks for no order, or the event has no key for it. */
  of({ name, declaration }: Handler, event: CloudEvent): MemoryLane<Item> | undefined {
    const policy = policyOf(declaration.options);
    if (policy === "unordered") return undefined;
    try {
      const key = declaration.kind === "projection" ? entryKey(declaration, event) : keyOf(event);
      const id = JSON.stringify([name, key]);
      const lane = this.#lanes.get(id) ?? new MemoryLane<Item>(policy);
      this.#lanes.set(id, lane);
      return lane;
    } catch {
      return undefined; // a key that cannot be computed fails again where the event is handled
    }
  }
}

function endedOf(attempt: number, verdict: Verdict): Ended {
  if (verdict.kind === "retry") {
    return { kind: "retry", attempt: attempt + 1, dueMs: verdict.due.getTime() };
  }
  return { kind: verdict.kind === "dead" ? "dead" : "over" };
}
