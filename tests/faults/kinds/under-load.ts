// How faults are spread over a load.
import type { Size } from "../fault.ts";
import type { FaultWorld } from "../world.ts";

/** How many sends the plan has, repeats too. */
export function sendsOf({ plan }: FaultWorld): number {
  return [...plan.sends.values()].reduce((count, sends) => count + sends.length, 0);
}

/** Produces the plan while `inject` runs, to the end of both. */
export async function underLoad(
  world: FaultWorld,
  { perSecond }: Pick<Size, "perSecond">,
  inject: () => Promise<number>,
): Promise<number> {
  const [injected] = await Promise.all([inject(), world.produce({ perSecond })]);
  return injected;
}

/** Calls `inject` so often, spread over the load by the seed: one in each equal part of the way. */
export async function spread(
  world: FaultWorld,
  { times }: Pick<Size, "times">,
  by: "acked" | "noted",
  inject: (turn: number) => Promise<void>,
): Promise<number> {
  for (let turn = 0; turn < times; turn++) {
    const share = (turn + 0.1 + 0.8 * world.random.next()) / (times + 0.5); // after the last one work is left, too
    await world.reached({ [by]: Math.floor(share * world.plan.size) });
    await inject(turn);
  }
  return times;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
