// The runtime's wall clock set forth and back. The server's clock stays: it is a static binary, and the machine's
// clock is not ours to set.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Fault } from "../fault.ts";
import { pause, spread, underLoad } from "./under-load.ts";

const preload = join(import.meta.dirname, "../fixtures/clock.mjs");
const jumpsMs = [-3_600_000, 5_000, -86_400_000, 2_000];

export const clocks: readonly Fault[] = [
  {
    name: "clock",
    what: "the runtime's wall clock set back by an hour and a day, and forth by seconds",
    full: { events: 12_000, keys: 200, times: 20, perSecond: 300 },
    quick: { events: 600, keys: 40, times: 2, perSecond: 300 },
    async run(world, size) {
      const file = join(world.handlers, "../clock");
      writeFileSync(file, "0");
      world.env.NODE_OPTIONS = `--import=${preload}`;
      world.env.FAULTS_CLOCK = file;
      await world.startNode();
      const injected = await underLoad(world, size, () =>
        spread(world, size, "noted", async (turn) => {
          writeFileSync(file, String(jumpsMs[turn % jumpsMs.length]));
          await pause(500);
        }),
      );
      writeFileSync(file, "0");
      return injected;
    },
  },
];
