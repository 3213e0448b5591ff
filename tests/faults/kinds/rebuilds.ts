// The projection folded anew in the middle of work, and the runtime killed while it does.
import { connectBroker } from "../../../runtime/broker/index.ts";
import { askForRebuild } from "../../../runtime/pipeline/index.ts";
import type { Fault } from "../fault.ts";
import type { FaultWorld } from "../world.ts";
import { pause, spread, underLoad } from "./under-load.ts";

async function killRebuild(world: FaultWorld): Promise<void> {
  const broker = await connectBroker(
    { servers: [world.nats.url], name: "rebuild", timeoutMs: 5_000 },
    { app: "eddy", home: "EVENTS" },
  );
  const options = { signal: new AbortController().signal, onProgress: () => {} };
  const asked = askForRebuild(broker, "counts", options).catch(() => {}); // nobody answers any more
  await pause(world.random.between(0, 400));
  for (const node of [...world.nodes]) await world.killNode(node);
  await broker.close();
  await asked;
  await world.startNode();
}

export const rebuilds: readonly Fault[] = [
  {
    name: "rebuild-killed",
    what: "kill -9 of the runtime while it folds the projection anew, and a new start",
    full: { events: 40_000, keys: 1_000, times: 20 },
    quick: { events: 800, keys: 40, times: 1 },
    async run(world, size) {
      await world.startNode();
      return underLoad(world, size, () => spread(world, size, "noted", () => killRebuild(world)));
    },
  },
];
