// A producer that sends everything twice: within the server's own window for duplicates, and after it.
import { jetstreamManager } from "@nats-io/jetstream";
import type { Fault } from "../fault.ts";
import { pause } from "./under-load.ts";

const second = 1_000_000_000;

export const producers: readonly Fault[] = [
  {
    name: "sent-twice",
    what: "a producer sends everything twice, and all of it again after the server's window (set to 1 s) and a restart",
    full: { events: 20_000, keys: 200, times: 1, twice: 1 },
    quick: { events: 400, keys: 40, times: 1, twice: 1 },
    async run(world) {
      const node = await world.startNode();
      await world.produce({ msgId: true });
      const jsm = await jetstreamManager(world.nc);
      await world.stopNode(node);
      await jsm.streams.update("EVENTS", { duplicate_window: second });
      await pause(1_500);
      await world.produce({ msgId: true });
      await world.startNode();
      return world.plan.size * 3;
    },
  },
];
