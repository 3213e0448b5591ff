// Several instances of one app: zombies that wake up, and one that is killed beside another.
import { eventually } from "../../support/eventually.ts";
import type { TestNode } from "../../support/node.ts";
import type { Fault } from "../fault.ts";
import { pause, spread, underLoad } from "./under-load.ts";

/** The pipeline's ack wait with a deadline of 30 s. */
const ackWaitS = 90;

async function untilStandby(node: TestNode): Promise<void> {
  const lines = () => node.output().match(/is standby: another instance/g)?.length ?? 0;
  const all = 4; // handlers
  await eventually(() => lines() >= all, {
    timeoutMs: 60_000,
    what: `that ${node.pid} stands by`,
  });
}

export const instances: readonly Fault[] = [
  {
    name: "zombie",
    what: "SIGSTOP of the active instance until another has taken over, then SIGCONT",
    full: { events: 12_000, keys: 200, times: 5, perSecond: 300 },
    quick: { events: 600, keys: 40, times: 1, perSecond: 300 },
    async run(world, size) {
      let active = await world.startNode();
      return underLoad(world, size, () =>
        spread(world, size, "noted", async () => {
          const zombie = active;
          zombie.signal("SIGSTOP");
          active = await world.startNode();
          await world.advanced(100);
          zombie.signal("SIGCONT");
          await untilStandby(zombie);
          await world.killNode(zombie);
        }),
      );
    },
  },
  {
    name: "frozen",
    fullOnly: true,
    what: "SIGSTOP of the only instance (full run: for longer than the ack wait), then SIGCONT",
    full: { events: 12_000, keys: 200, times: ackWaitS + 5, perSecond: 100 },
    quick: { events: 1_000, keys: 50, times: 2, perSecond: 300 },
    async run(world, size) {
      const node = await world.startNode();
      return underLoad(world, size, async () => {
        await world.reached({ noted: Math.floor(size.events * 0.1) });
        node.signal("SIGSTOP");
        await pause(size.times * 1_000);
        node.signal("SIGCONT");
        return 1;
      });
    },
  },
  {
    name: "two-instances",
    what: "two instances of one app side by side, the active one killed",
    full: { events: 12_000, keys: 200, times: 8, perSecond: 150 },
    quick: { events: 600, keys: 40, times: 1, perSecond: 200 },
    async run(world, size) {
      await world.startNode();
      await world.startNode(); // takes over
      return underLoad(world, size, () =>
        spread(world, size, "noted", async (turn) => {
          const active = world.nodes.at(-1);
          if (active !== undefined) await world.killNode(active);
          await world.advanced(50);
          if (turn + 1 < size.times) await world.startNode();
        }),
      );
    },
  },
];
