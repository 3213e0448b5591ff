// Deliveries that wait for their turn during a trial, and whether more are to come.
// A1 That nothing is left is said only where the consumer has nothing left that was not delivered here: a suspect that is gone from
// the stream, or is not read any more, is waited for by nobody.
import { consumerInfo, type Delivery } from "../../broker/index.ts";
import { consumerName } from "../ledger/place.ts";
import { createPause } from "../pause.ts";
import type { Scope } from "../scope.ts";

export interface Arrivals {
  add(message: Delivery): void;
  /** In stream order. */
  readonly held: readonly Delivery[];
  /** More may come: neither too many wait, nor too many bytes. */
  readonly hasRoom: boolean;
  /** Takes the first ones. */
  take(count: number): Delivery[];
  /** Nothing comes behind the first `count` now: nothing is left, or there is no room for it. */
  endWith(count: number): boolean;
  /** Resolves when `made` gives something, to that; it is asked again with each arrival. */
  until<T>(made: () => T | undefined): Promise<T | undefined>;
  /** Waits no more: `until` gives undefined. */
  end(): void;
}

const heldMax = 2_000;
const heldBytesMax = 16 * 2 ** 20;
const lookMs = { first: 20, most: 1_000 };

/** Of one stream; `received` gives how many deliveries were handed on. */
export function collectArrivals(scope: Scope, stream: string, received: () => number): Arrivals {
  const { broker } = scope;
  const name = consumerName(broker.app, scope.handler().name);
  const held: Delivery[] = [];
  let heldBytes = 0;
  let complete = false;
  let ended = false;
  const idle = createPause();

  function hasRoom(): boolean {
    return held.length < heldMax && heldBytes < heldBytesMax;
  }

  async function look(): Promise<void> {
    const info = await consumerInfo(broker.jsm, stream, name).catch(() => undefined);
    const arrived = received() + held.length;
    if (info?.num_pending === 0 && info.delivered.consumer_seq === arrived) complete = true;
  }

  return {
    add(message) {
      held.push(message);
      scope.arrived = Math.max(scope.arrived ?? 0, message.seq);
      heldBytes += message.raw.byteLength;
      if (message.pending === 0) complete = true;
      idle.wake();
    },
    held,
    get hasRoom() {
      return hasRoom();
    },
    take(count) {
      const taken = held.splice(0, count);
      for (const { raw } of taken) heldBytes -= raw.byteLength;
      return taken;
    },
    endWith: (count) => (complete && held.length === count) || !hasRoom(),
    async until(made) {
      for (let waitMs = lookMs.first; !ended; waitMs = Math.min(2 * waitMs, lookMs.most)) {
        const found = made();
        if (found !== undefined) return found;
        const before = held.length;
        await idle.wait(waitMs);
        if (held.length === before && !ended) await look();
      }
      return undefined;
    },
    end() {
      ended = true;
      idle.wake();
    },
  };
}
