// Held keys of an ordered handler: an event that waits for a retry keeps the later ones of its key back, and of no
// other. The way into its lanes stands here; verdicts.ts decides what holds a key, records.ts makes it durable,
// parking.ts keeps what waits behind it, drain.ts lets it go, load.ts finds it all again.
// K1 What becomes of a key is decided before its lane is left, and stored in the unit that caused it.
// K2 An event of a held key is parked in its lane, so never while the key is found to be free.
// K3 Retries and letters that come back run at once: the retry of the event that holds the key is what it waits for,
// and a letter is given back by an operator, who knows that its followers may have passed.
import { EddyError, type Token, token } from "../../events/index.ts";
import { concludeDead, concludeFailed } from "../conclude.ts";
import { contractError } from "../contract.ts";
import { keyOfJob } from "../job-key.ts";
import { standingMessage } from "../retry/standing.ts";
import type { EventJob, HeldKeys, Job, Scope } from "../scope.ts";
import { signal } from "../signal.ts";
import { untilAnswered } from "../until-answered.ts";
import { createDrains } from "./drain.ts";
import { keepAbove } from "./keep.ts";
import { storeParked } from "./parking.ts";
import { createQueues, type Queues } from "./queues.ts";
import { createTable, type HeldKey, type HeldTable } from "./table.ts";
import { createVerdicts } from "./verdicts.ts";

export function createHeldKeys(scope: Scope, loaded: ReadonlyMap<Token, HeldKey>): HeldKeys {
  const table = createTable(loaded);
  const queues = createQueues(scope);
  const ended = signal<void>();
  const { enter, attempt } = queues;
  const free = (lane: Token) => verdicts.free(lane);
  const drains = createDrains({ scope, table, enter, attempt, free });
  const verdicts = createVerdicts(scope, table, drains.start);
  return {
    enter: (job) => intoLane(scope, table, queues, job),
    begin: queues.begin,
    goOn() {
      for (const [lane, { held }] of table.entries()) {
        if (held.kind === "draining") drains.start(lane);
      }
    },
    settle: verdicts.settle,
    keyOf: verdicts.keyOf,
    release: verdicts.release,
    keepAbove: (seq) => keepAbove(scope, table, enter, seq, ended),
    get size() {
      return table.size;
    },
    get occupied() {
      return queues.occupied;
    },
    stop() {
      ended.resolve();
      drains.stop();
      queues.clear();
    },
  };
}

function intoLane(scope: Scope, table: HeldTable, queues: Queues, job: EventJob): void {
  const broken = contractError(scope.handler(), job.event);
  const keyless = (error: unknown) => {
    if (scope.around.stopping.over) return Promise.resolve();
    if (broken === undefined) return concludeFailed(scope, job, error);
    return concludeDead(scope, job, "schema", broken);
  };
  let key: string | Promise<string>;
  try {
    key = keyOfJob(scope, job);
  } catch (error) {
    queues.outside(() => keyless(error));
    return;
  }
  const enter = (known: string) => takeTurn(scope, table, queues, job, known, broken);
  const entered = queues.inOrder(key, enter, keyless);
  if (entered !== undefined) queues.outside(() => entered);
}

function takeTurn(
  scope: Scope,
  table: HeldTable,
  queues: Queues,
  job: EventJob,
  key: string,
  broken: EddyError | undefined,
): void {
  job.key = key;
  const lane = token(key);
  queues.enter(lane, (leave) => {
    if (!scope.alive()) return leave();
    const held = job.from === "new" && table.size > 0 ? table.get(lane) : undefined; // K3
    if (held !== undefined) {
      if (!held.parked) table.set(lane, { ...held, parked: true });
      const { seq } = job.position;
      table.arrived.set(lane, Math.min(seq, table.arrived.get(lane) ?? seq));
      void park(scope, lane, job).finally(leave);
    } else if (broken !== undefined) {
      void concludeDead(scope, job, "schema", broken).finally(leave);
    } else queues.attempt(job, leave);
  });
}

async function park(scope: Scope, lane: Token, job: Job): Promise<void> {
  const { handler, original, position, slot } = job;
  await untilAnswered(scope, "EDDY_PARKED_NOT_STORED", () =>
    storeParked(scope.broker, handler.name, lane, original),
  );
  if (!scope.alive()) return;
  const move = { from: "new", to: "retrying" } as const;
  scope.committer.submit({
    ledger: scope.ledger,
    slot,
    stream: position.stream,
    move,
    messages: [standingMessage(scope.ledger.place, position, { kind: "parked" })],
    onStored() {},
    onRefused(why) {
      const text = `the server does not store that the event is parked: ${why}`;
      void concludeDead(scope, job, "refused", new EddyError("EDDY_EFFECT_REFUSED", text));
    },
  });
}
