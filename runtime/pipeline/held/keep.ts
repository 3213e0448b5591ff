// Records of held keys outlive the head of the home stream: what stands too far below is stored again, above.
// A key may be held for as long as an operator takes; it must not keep the head from being cut meanwhile.
// A1 It happens in the key's lane, and while nothing of it runs: a standing that is stored again is the last one.
// A2 It ends with the session: a lane whose turns are forgotten is waited for by nobody.
import type { BatchMessage } from "../../broker/index.ts";
import type { Position, Token } from "../../events/index.ts";
import { unitAside } from "../group.ts";
import { readStanding, standingMessage } from "../retry/standing.ts";
import type { Scope } from "../scope.ts";
import type { Signal } from "../signal.ts";
import { listParked } from "./parking.ts";
import type { Turn } from "./queues.ts";
import { heldMessage } from "./records.ts";
import type { HeldTable } from "./table.ts";

const unitMessages = 400;
const readAtOnce = 64;

/** The sequence below which no key needs anything: `seq`, or less where one just now goes on. */
export async function keepAbove(
  scope: Scope,
  table: HeldTable,
  enter: (lane: Token, turn: Turn) => void,
  seq: number,
  ended: Signal<void>,
): Promise<number> {
  const { place } = scope.ledger;
  if (place.stream !== scope.broker.home) return seq; // a bucket's stream has no head that is cut
  const low = [...table.entries()].filter(([, { fromSeq }]) => fromSeq < seq);
  let over = false;
  void ended.promise.then(() => {
    over = true;
  });
  for (const [lane] of low) {
    if (over || !scope.alive()) break;
    await Promise.race([ended.promise, inLane(enter, lane, () => storeAgain(scope, table, lane))]);
  }
  const needed = [...table.entries()].map(([, { fromSeq }]) => fromSeq);
  return Math.min(seq, ...needed);
}

async function inLane(
  enter: (lane: Token, turn: Turn) => void,
  lane: Token,
  work: () => Promise<void>,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    enter(lane, (leave) => {
      work().finally(leave).then(resolve, reject);
    });
  });
}

async function storeAgain(scope: Scope, table: HeldTable, lane: Token): Promise<void> {
  const { broker, committer, ledger } = scope;
  await committer.settled();
  const known = table.get(lane);
  if (known === undefined || !("by" in known.held)) return; // it goes on: what it needs is gone soon
  const fromSeq = ledger.lastSeq;
  const next = { ...known, fromSeq };
  const messages = [heldMessage(ledger.place, lane, next)];
  const parked = (await listParked(broker, scope.handler().name, lane)).get(lane) ?? [];
  const needed = [known.held.by.position, ...parked];
  for (let at = 0; at < needed.length; at += readAtOnce) {
    messages.push(...(await standings(scope, needed.slice(at, at + readAtOnce))));
  }
  for (let at = 0; at < messages.length; at += unitMessages) {
    committer.submit(unitAside(ledger, messages.slice(at, at + unitMessages)));
  }
  await committer.settled();
  const now = table.get(lane);
  if (scope.alive() && now !== undefined) table.set(lane, { ...now, fromSeq });
}

async function standings(scope: Scope, positions: readonly Position[]): Promise<BatchMessage[]> {
  const { place } = scope.ledger;
  const read = await Promise.all(
    positions.map(async (position) => {
      const standing = await readStanding(scope.broker.nc, place, position);
      const open = standing?.kind === "parked" || standing?.kind === "waiting";
      return open ? [standingMessage(place, position, standing)] : [];
    }),
  );
  return read.flat();
}
