// A projection that begins with the compacted home: it folds one event an entity, each in the same way as one from the log,
// and its ledger then says which positions of the log that stands for.
// J1 Until it has come to the end its ledger says that it has read nothing: who takes over begins anew.
// J2 What it folds is the home at one moment, in the log's order; what is newer it reads in the log. So no older event is
// folded over a newer one, and none is left out. J3 Entries from before that were not folded again are removed.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, readAll, readMessage, readRange } from "../../broker/index.ts";
import { decodeMessage, eventSubject, keyOf, parseHeaderBlock, token } from "../../events/index.ts";
import { unitAside } from "../group.ts";
import type { InputRecord } from "../ledger/record.ts";
import { decodeStanding } from "../retry/standing.ts";
import type { Job, Scope } from "../scope.ts";
import type { Session } from "../session.ts";
import { type Cut, completedBy, readCuts } from "./cut.ts";
import { headersOf, isOlder, type Origin, originOf } from "./message.ts";
import { stateSubjectOfType } from "./names.ts";

export interface Joining {
  readonly scope: Scope;
  readonly session: Pick<Session, "takeAgain" | "quiet">;
  /** The ledger's input, and the sequence of the record that took it over. */
  readonly input: InputRecord & { readonly seq: number };
  readonly stopped: () => boolean;
}

interface Compacted extends Origin {
  readonly headers: Uint8Array;
  readonly data: Uint8Array;
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
    for await (const chunk of readCompacted(broker, cuts)) {
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

const atOnce = 500;

/** The messages of all cuts in the order of the log. */
async function* readCompacted(
  broker: Broker,
  cuts: readonly Cut[],
): AsyncGenerator<readonly Compacted[]> {
  const [only] = cuts;
  if (cuts.length === 1 && only !== undefined) {
    yield* readCut(broker, only); // one message an entity: there is no order between them
    return;
  }
  const found: { readonly seq: number; readonly origin: Origin }[] = [];
  for (const cut of cuts) {
    for await (const chunk of readCut(broker, cut)) {
      for (const { seq, position, createdMs, storedMs } of chunk)
        found.push({ seq, origin: { position, createdMs, storedMs } });
    }
  }
  found.sort((a, b) => (isOlder(a.origin, b.origin) ? -1 : 1));
  for (let at = 0; at < found.length; at += atOnce) {
    const some = found.slice(at, at + atOnce);
    const read = some.map(async ({ seq, origin }): Promise<Compacted[]> => {
      const stored = await readMessage(broker.nc, broker.state, { seq });
      // Gone: a newer event took its place, which stands in the log behind the cut.
      return stored?.headers === undefined
        ? []
        : [{ ...origin, headers: stored.headers, data: stored.data }];
    });
    yield (await Promise.all(read)).flat();
  }
}

async function* readCut(broker: Broker, { state, upTo }: Cut) {
  const subject = stateSubjectOfType(state.type);
  const range = { stream: broker.state, filter: `${subject}.*`, from: 1, to: upTo };
  for await (const chunk of readRange(broker, range)) {
    const found: (Compacted & { readonly seq: number })[] = [];
    for (const { natsSubject, seq, raw, headerLength } of chunk) {
      if (natsSubject.slice(0, natsSubject.lastIndexOf(".")) !== subject) continue;
      const headers = raw.subarray(0, headerLength);
      const origin = originOf(headers);
      if (origin === undefined) continue; // somebody else wrote it
      if (origin.tombstone !== undefined && origin.tombstone.untilMs < Date.now()) continue;
      found.push({ ...origin, seq, headers, data: raw.subarray(headerLength) });
    }
    yield found;
  }
}

/** The event as one that comes from the log; undefined where the handler does not read its type. */
function jobOf(scope: Scope, handler: Handler, compacted: Compacted): Job | undefined {
  const { position, storedMs, data } = compacted;
  const headers = headersOf(compacted.headers);
  const decoded = decodeMessage(headers && parseHeaderBlock(headers), data);
  if (!decoded.ok) return undefined;
  const event = Object.freeze(decoded.event);
  if (!handler.declaration.from.some(({ type }) => type === event.type)) return undefined;
  const natsSubject = eventSubject(event.type, keyOf(event));
  return {
    handler: scope.handler(),
    position,
    original: { position, natsSubject, timeMs: storedMs, data, ...(headers && { headers }) },
    event,
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
