// The lanes of an ordered handler. What has a turn in one is an event, or what lets its key go: so a turn is a function,
// where the lanes of other handlers hold plain jobs.
import type { Token } from "../../events/index.ts";
import { createAttempts } from "../attempt.ts";
import { createInOrder, type InOrder } from "../in-order.ts";
import { createLanes } from "../lanes.ts";
import type { EventJob, HeldSession, Scope } from "../scope.ts";

/** Runs in a key's lane; calls `leave` once, when the next one may. */
export type Turn = (leave: () => void) => void;

/** Runs an event's attempt; calls `leave` once what comes of it is on its way to the disk. */
export type Attempt = (job: EventJob, leave: () => void) => void;

export interface Queues {
  readonly begin: (session: HeldSession) => void;
  readonly enter: (lane: Token, turn: Turn) => void;
  readonly attempt: Attempt;
  /** Events enter their lanes in the order in which they came, whoever is asked for their keys. */
  readonly inOrder: InOrder;
  readonly outside: (work: () => Promise<void>) => void;
  readonly clear: () => void;
  readonly occupied: number;
}

export function createQueues(scope: Scope): Queues {
  const leaving = new Map<EventJob, () => void>();
  const run = createAttempts(scope, (job) => {
    const leave = leaving.get(job);
    leaving.delete(job);
    leave?.();
  });
  let session: HeldSession = { laneWidth: 1, left() {}, outside() {} };
  let lanes = createLanes<() => void>(session.laneWidth, (turn) => turn());
  return {
    begin(begun) {
      session = begun;
      lanes = createLanes(begun.laneWidth, (turn) => turn());
    },
    enter(lane, turn) {
      lanes.enter(lane, () =>
        turn(() => {
          lanes.leave(lane);
          if (lanes.occupied === 0) session.left();
        }),
      );
    },
    attempt(job, leave) {
      leaving.set(job, leave);
      run(job);
    },
    inOrder: createInOrder(),
    outside: (work) => session.outside(work),
    clear: () => lanes.clear(),
    get occupied() {
      return lanes.occupied;
    },
  };
}
