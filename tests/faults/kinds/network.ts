// The line between runtime and server: cut, half-open, slow. The producer has a line of its own.
import { startProxy, type TcpProxy } from "../../support/proxy.ts";
import type { Fault, Size } from "../fault.ts";
import type { FaultWorld } from "../world.ts";
import { pause, spread, underLoad } from "./under-load.ts";

async function throughProxy(
  world: FaultWorld,
  size: Size,
  spoil: (proxy: TcpProxy, turn: number) => Promise<void>,
): Promise<number> {
  await using proxy = await startProxy(world.nats.port);
  world.via = proxy.url;
  await world.startNode();
  const injected = await underLoad(world, size, () =>
    spread(world, size, "acked", (turn) => spoil(proxy, turn)),
  );
  await world.settled();
  return injected;
}

export const network: readonly Fault[] = [
  {
    name: "line-cut",
    what: "the connection reset, refused for up to a second, then there again",
    full: { events: 20_000, keys: 200, times: 20, perSecond: 400 },
    quick: { events: 600, keys: 40, times: 2, perSecond: 300 },
    run: (world, size) =>
      throughProxy(world, size, async (proxy) => {
        proxy.set({ kind: "cut" });
        await pause(world.random.between(0, 1_000));
        proxy.set({ kind: "open" });
      }),
  },
  {
    name: "line-half-open",
    what: "packets vanish both ways and nobody is told; new connections work after 3 s",
    full: { events: 12_000, keys: 200, times: 5, perSecond: 120 },
    quick: { events: 600, keys: 40, times: 1, perSecond: 150 },
    run: (world, size) =>
      throughProxy(world, size, async (proxy) => {
        proxy.set({ kind: "deaf" });
        await pause(3_000);
        proxy.set({ kind: "open" });
        await world.advanced(50, 60_000);
      }),
  },
  {
    name: "line-slow",
    fullOnly: true,
    what: "each packet 150 ms late, 200 KB/s, for 2 s",
    full: { events: 15_000, keys: 200, times: 10, perSecond: 300 },
    quick: { events: 1_500, keys: 50, times: 1, perSecond: 400 },
    run: (world, size) =>
      throughProxy(world, size, async (proxy) => {
        proxy.set({ kind: "slow", delayMs: 150, bytesPerMs: 200 });
        await pause(2_000);
        proxy.set({ kind: "open" });
      }),
  },
];
