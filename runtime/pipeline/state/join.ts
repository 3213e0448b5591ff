// A projection that begins with the compacted home: it folds one event an entity, each in the same way as one from the log,
// and its ledger then says which positions of the log that stands for.
// J1 Until it has come to the end its ledger says that it has read nothing: who takes over begins anew.
// J2 What it folds is the home at one moment, in the log's order; what is newer it reads in the log. So no older event is
// folded over a newer one, and none is left out. J3 Entries from before that were not folded again are removed.
import type { Handler } from "../../authoring/index.ts";
import { readAll } from "../../broker/index.ts";
import { token } from "../../events/index.ts";
import { unitAside } from "../group.ts";
import type { InputRecord } from "../ledger/record.ts";
import { decodeStanding } from "../retry/standing.ts";
import type { Job, Scope } from "../scope.ts";
import type { Session } from "../session.ts";
import { type Compacted, originalIn, readCompacted } from "./compacted.ts";
import { completedBy, readCuts } from "./cut.ts";
import type { Origin } from "./message.ts";

export interface Joining {
  readonly scope: Scope;
  readonly session: Pick<Session, "takeAgain" | "quiet">;
  /** The ledger's input, and the sequence of the record that took it over. */
  readonly input: InputRecord & { readonly seq: number };
  readonly stopped: () => boolean;
}

/** Folds what the compacted home holds. Then, or where the ledger was lost or the runtime stops, the session is over. */
export async function joinFromState(joining: Joining): Promise<"again" | "lost"> {
  const { scope, session, input, stopped } = joining;
  const { broker, ledger, committer } = scope;
  const handler = scope.handler();
  const cuts = await readCuts(broker, handler, input.createdMs);
  const completed = cuts && (await completedBy(broker, handler, cuts));
  scope.entries?.beginAnew(input.seq);
  const goesOn = () => scope.alive() && !stopped();
  if (cuts !== undefined) {
    const concluded = await concludedBefore(scope);
    for await (const chunk of readCompacted(broker, cuts, isShown)) {
      for (const message of chunk) {
        const job = jobOf(scope, handler, message);
        if (job !== undefined && !concluded.has(job.position.seq)) session.takeAgain(job);
      }
      await session.quiet();
      await committer.settled();
      if (!goesOn()) return scope.alive() ? "again" : "lost";
    }
  }
  for await (const messages of scope.entries?.leftovers() ?? []) {
    for (const message of messages) committer.submit(unitAside(ledger, [message]));
    await committer.settled();
    if (!goesOn()) return scope.alive() ? "again" : "lost";
  }
  ledger.join(completed === undefined ? input : above(completed, input.floor));
  committer.submit(unitAside(ledger, []));
  await committer.settled();
  return scope.alive() ? "again" : "lost";
}

function above({ floor, above }: Pick<InputRecord, "floor" | "above">, gone: number) {
  return floor >= gone ? { floor, above } : { floor: gone, above: [] };
}

function isShown({ tombstone }: Origin): boolean {
  return tombstone === undefined || tombstone.untilMs >= Date.now();
}

/** The event as one that comes from the log; undefined where the handler does not read its type. */
function jobOf(scope: Scope, handler: Handler, compacted: Compacted): Job | undefined {
  const found = originalIn(handler, compacted);
  if (found === undefined) return undefined;
  return {
    handler: scope.handler(),
    position: compacted.position,
    ...found,
    key: "",
    attempt: 1,
    attempts: [],
    from: "new",
    slot: undefined,
    beganMs: performance.now(),
    onStored: undefined,
  };
}

/** Positions that an earlier start has concluded in another way than by folding them: they wait, or have a letter. */
async function concludedBefore({ broker, ledger }: Scope): Promise<ReadonlySet<number>> {
  const { stream, ledger: subject } = ledger.place;
  const root = `${subject}.${token(broker.home)}.`;
  const found = new Set<number>();
  await readAll(broker, stream, `${root}*`, (message) => {
    const seq = Number(message.subject.slice(root.length));
    if (!Number.isSafeInteger(seq)) return;
    const { kind } = decodeStanding(message.data);
    if (kind !== "done" && kind !== "discarded") found.add(seq);
  });
  return found;
}
