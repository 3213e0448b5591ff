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
      await jsm.streams.delete("DEAD");
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
        spread(world, size, "acked", async (turn) => {
          await remove(jsm, world, turn);
          await world.advanced(50);
        }),
      );
    },
  }),
);

/** What waits in RETRY, and what the home stream holds, goes with it: so both are deleted while nothing waits. */
const atRest = [
  {
    name: "retries-deleted",
    what: "RETRY deleted while nothing waits for a retry",
    findings: undefined,
    async remove(jsm: JetStreamManager) {
      await jsm.streams.delete("RETRY");
    },
  },
  {
    name: "home-deleted",
    what: "the home stream deleted: what is stored once it is made anew is handled once",
    findings: "expected" as const, // the projection's counts go on over both streams
    async remove(jsm: JetStreamManager, world: FaultWorld) {
      await world.newHome();
      await jsm.streams.delete("EVENTS");
    },
  },
].map(
  ({ name, what, findings, remove }): Fault => ({
    name,
    what,
    ...(findings === undefined ? {} : { findings }),
    full: { events: 10_000, keys: 100, times: 4 },
    quick: { events: 1_200, keys: 40, times: 1 },
    async run(world, { events, keys, times }) {
      await world.startNode();
      const jsm = await jetstreamManager(world.nc);
      const part = Math.ceil(events / keys / (times + 1));
      for (let turn = 0; turn < times; turn++) {
        await world.produce({ part: [turn * part + 1, (turn + 1) * part] });
        await world.settled();
        await remove(jsm, world);
      }
      await world.produce({ part: [times * part + 1, events] });
      return times;
    },
  }),
);

export const deletionFaults: readonly Fault[] = [...underwork, ...atRest];
