// New code under load: reloads in the middle, and an editor that saves on every keystroke.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Fault } from "../fault.ts";
import { loadSource } from "../world.ts";
import { pause, spread, underLoad } from "./under-load.ts";

export const reloads: readonly Fault[] = [
  {
    name: "reload",
    fullOnly: true,
    what: "the handlers' file replaced by a new version in the middle of work",
    full: { events: 30_000, keys: 300, times: 50 },
    quick: { events: 2_000, keys: 50, times: 3, perSecond: 800 },
    async run(world, size) {
      await world.startNode();
      return underLoad(world, size, () =>
        spread(world, size, "noted", async (turn) =>
          world.write("load.ts", `${loadSource}\n// version ${turn}\n`),
        ),
      );
    },
  },
  {
    name: "keystrokes",
    what: "the file saved in place at every keystroke, most of the time half-written and broken (full run: for a minute)",
    full: { events: 12_000, keys: 200, times: 60, perSecond: 180 },
    quick: { events: 600, keys: 40, times: 2, perSecond: 300 },
    async run(world, size) {
      await world.startNode();
      const file = join(world.handlers, "load.ts");
      return underLoad(world, size, async () => {
        await world.reached({ noted: 50 });
        const until = performance.now() + size.times * 1_000;
        let strokes = 0;
        for (let typed = 0; performance.now() < until; strokes++) {
          typed = typed >= loadSource.length ? 0 : typed + world.random.between(1, 60);
          writeFileSync(file, loadSource.slice(0, typed));
          await pause(world.random.between(20, 120));
        }
        writeFileSync(file, loadSource);
        return strokes;
      });
    },
  },
];
