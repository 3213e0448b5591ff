// A limited amount that orders claim, first come, first served: a customer's credit, a shelf's stock. Pure.
//
// Why the fold decides, and not the reaction: a projection is a moment behind, so two reactions that read
// "one canoe left" at the same time would both give it away. Events of one entry are folded one after the
// other, in the order of the stream. So the fold settles who gets it, the same way in every rebuild, and the
// reaction only tells. It waits for the fold (see `verdict`), and is right whenever it reads.
//
// Q1 A claim that would exceed the limit is refused.   Q2 An order id claims once, however often it is placed.
// Q3 A refusal is kept until it has been told; then the order may be placed again. (A second event of the same
//    order that comes while the first is being refused finds no verdict, and ends in the dead letters.)
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "eddyline";

export const Quota = Type.Object({
  limit: Type.Integer(),
  claims: Type.Array(Type.Object({ orderId: Type.String(), amount: Type.Integer() })),
  refused: Type.Array(Type.String()),
});
export type Quota = Type.Static<typeof Quota>;

export const quotaOf = (limit: number): Quota => ({ limit, claims: [], refused: [] });

export function claim(quota: Quota, orderId: string, amount: number): Quota {
  if (verdictOn(quota, orderId) !== undefined) return quota;
  const taken = quota.claims.reduce((sum, claimed) => sum + claimed.amount, 0);
  return taken + amount <= quota.limit
    ? { ...quota, claims: [...quota.claims, { orderId, amount }] }
    : { ...quota, refused: [...quota.refused, orderId] };
}

export function release(quota: Quota, orderId: string): Quota {
  return { ...quota, claims: quota.claims.filter((claimed) => claimed.orderId !== orderId) };
}

export function refusalTold(quota: Quota, orderId: string): Quota {
  return { ...quota, refused: quota.refused.filter((refused) => refused !== orderId) };
}

function verdictOn(quota: Quota, orderId: string): boolean | undefined {
  if (quota.claims.some((claimed) => claimed.orderId === orderId)) return true;
  return quota.refused.includes(orderId) ? false : undefined;
}

/**
 * Whether the order got what it claimed. The fold is some milliseconds behind, so this looks again for half a
 * second; a fold that is further behind (it has just begun, say) is for the event's backoff to wait for.
 */
export async function verdict(orderId: string, read: () => Promise<Quota | undefined>) {
  for (let waitMs = 4; waitMs <= 256; waitMs *= 2) {
    const quota = await read();
    const granted = quota && verdictOn(quota, orderId);
    if (granted !== undefined) return granted;
    await sleep(waitMs);
  }
  throw new Error(`the claim of order ${orderId} is not decided yet`);
}
