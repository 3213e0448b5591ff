// What the runtime keeps on the server, deleted under it.
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { Fault } from "../fault.ts";
import type { FaultWorld } from "../world.ts";
import { spread, underLoad } from "./under-load.ts";

interface Deletion {
  readonly name: string;
  readonly what: string;
  remove(jsm: JetStreamManager, world: FaultWorld, turn: number): Promise<unknown>;
}

const handlers = ["load=2Erelay", "load=2Eflaky", "load=2Edoomed", "counts"];

const deletions: readonly Deletion[] = [
  {
    name: "consumer-deleted",
    what: "a handler's durable consumer deleted while it is read",
    remove: (jsm, _, turn) =>
      jsm.consumers.delete("EVENTS", `eddy==${handlers[turn % handlers.length]}`),
  },
  {
    name: "letters-deleted",
    what: "DEAD deleted: letters of events that were stored later are there",
    async remove(jsm, world) {
      const deleted = jsm.streams.delete("DEAD");
      await deleted;
      world.lettersFrom = (await jsm.streams.info("EVENTS")).state.last_seq + 1;
    },
  },
  {
    name: "identities-deleted",
    what: "IDENTITIES deleted, and the runtime killed: the index is rebuilt from the log",
    async remove(jsm, world) {
      await jsm.streams.delete("IDENTITIES");
      for (const node of [...world.nodes]) await world.killNode(node);
      await world.startNode();
    },
  },
  {
    name: "bucket-deleted",
    what: "the projection's bucket deleted: it is rebuilt from the first event",
    remove: (jsm) => jsm.streams.delete("KV_counts"),
  },
];

const underwork = deletions.map(
  ({ name, what, remove }): Fault => ({
    name,
    what,
    full: { events: 10_000, keys: 100, times: 8, perSecond: 1_000 },
    quick: { events: 1_200, keys: 40, times: 1, perSecond: 600 },
    async run(world, size) {
      await world.startNode();
      const jsm = await jetstreamManager(world.nc);
      return underLoad(world, size, () =>
        spread(world, size, "noted", async (turn) => {
          await remove(jsm, world, turn);
          await world.advanced(50);
        }),
      );
    },
  }),
);

export const deletionFaults: readonly Fault[] = [
  ...underwork,
  {
    name: "retries-deleted",
    what: "RETRY deleted",
    full: { events: 10_000, keys: 100, times: 8, perSecond: 1_000 },
    quick: { events: 1_200, keys: 40, times: 1, perSecond: 600 },
    async run(world, size) {
      await world.startNode();
      const jsm = await jetstreamManager(world.nc);
      return underLoad(world, size, () =>
        spread(world, size, "noted", async () => {
          await jsm.streams.delete("RETRY");
          await world.advanced(50);
        }),
      );
    },
  },
  {
    name: "home-deleted",
    what: "the home stream deleted: what is stored once it is made anew is handled once",
    full: { events: 6_000, keys: 100, times: 1 },
    quick: { events: 1_200, keys: 40, times: 1 },
    async run(world, size) {
      await world.startNode();
      const half = Math.floor(size.events / size.keys / 2);
      await world.produce({ part: [1, half] });
      await world.settled();
      await world.newHome();
      const jsm = await jetstreamManager(world.nc);
      await jsm.streams.delete("EVENTS");
      await world.produce({ part: [half + 1, size.events] });
      return 1;
    },
  },
];
