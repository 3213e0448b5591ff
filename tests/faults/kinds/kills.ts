// kill -9: of the runtime, of the server, of both.
import type { Fault } from "../fault.ts";
import type { FaultWorld } from "../world.ts";
import { pause, spread, underLoad } from "./under-load.ts";

export async function killRuntime(world: FaultWorld): Promise<void> {
  for (const node of [...world.nodes]) await world.killNode(node);
  await world.startNode();
}

async function killServer(world: FaultWorld): Promise<void> {
  await world.nats.kill();
  await pause(world.random.between(0, 300));
  await world.nats.restart();
}

export const kills: readonly Fault[] = [
  {
    name: "kill-runtime",
    what: "kill -9 of the runtime in the middle of work, and a new start",
    full: { events: 100_000, keys: 1_000, times: 50 },
    quick: { events: 600, keys: 40, times: 2 },
    async run(world, size) {
      await world.startNode();
      return underLoad(world, size, () => spread(world, size, "noted", () => killRuntime(world)));
    },
  },
  {
    name: "kill-server",
    what: "kill -9 of nats-server in the middle of work, and a restart",
    full: { events: 40_000, keys: 500, times: 20 },
    quick: { events: 600, keys: 40, times: 2 },
    async run(world, size) {
      await world.startNode();
      return underLoad(world, size, () => spread(world, size, "acked", () => killServer(world)));
    },
  },
  {
    name: "kill-both", // in quick, the power cut does this and more
    fullOnly: true,
    what: "kill -9 of runtime and server in one moment, and a restart of both",
    full: { events: 40_000, keys: 500, times: 20 },
    quick: { events: 600, keys: 40, times: 1 },
    async run(world, size) {
      await world.startNode();
      return underLoad(world, size, () =>
        spread(world, size, "acked", async () => {
          await Promise.all([
            world.nats.kill(),
            ...world.nodes.map((node) => world.killNode(node)),
          ]);
          await world.nats.restart();
          await world.startNode();
        }),
      );
    },
  },
];
