// What the runtime keeps on the server, deleted under it.
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { eventually } from "../../support/eventually.ts";
import type { Fault } from "../fault.ts";
import type { FaultWorld } from "../world.ts";
import { spread, underLoad } from "./under-load.ts";

interface Deletion extends Pick<Fault, "name" | "what" | "fullOnly" | "findings"> {
  remove(jsm: JetStreamManager, world: FaultWorld, turn: number): Promise<unknown>;
}

const handlers = ["load=2Erelay", "load=2Eflaky", "load=2Edoomed", "counts"];

const workDeletions: readonly Deletion[] = [
  {
    name: "consumer-deleted",
    what: "a handler's durable consumer deleted while it is read",
    remove: (jsm, _, turn) =>
      jsm.consumers.delete("EVENTS", `eddy==${handlers[turn % handlers.length]}`),
  },
  {
    name: "letters-deleted",
    fullOnly: true,
    what: "DEAD deleted: letters of events that were stored later are there",
    findings: "expected", // it names each event whose letter is gone
    async remove(jsm, world) {
      await deleteStream(jsm, "DEAD");
      world.lettersFrom = (await jsm.streams.info("EVENTS")).state.last_seq + 1;
    },
  },
  {
    name: "identities-deleted",
    fullOnly: true,
    what: "IDENTITIES deleted, and the runtime killed: the index is rebuilt from the log",
    async remove(jsm, world) {
      await deleteStream(jsm, "IDENTITIES");
      for (const node of [...world.nodes]) await world.killNode(node);
      await world.startNode();
    },
  },
  {
    name: "bucket-deleted",
    what: "the projection's bucket deleted: it is rebuilt from the first event",
    remove: (jsm) => deleteStream(jsm, "KV_counts"),
  },
];

/** Once it is there: the one that was deleted before is made anew when it is next needed. */
async function deleteStream(jsm: JetStreamManager, name: string): Promise<void> {
  const remove = () => jsm.streams.delete(name).catch(() => false);
  await eventually(remove, { timeoutMs: 60_000, what: `${name} to be deleted` });
}

const underWork = workDeletions.map(
  ({ remove, ...fault }): Fault => ({
    ...fault,
    full: { events: 10_000, keys: 100, times: 8, perSecond: 1_000 },
    quick: { events: 600, keys: 40, times: 1, perSecond: 300 },
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
const restDeletions: readonly Deletion[] = [
  {
    name: "retries-deleted",
    fullOnly: true,
    what: "RETRY deleted while nothing waits for a retry",
    async remove(jsm) {
      await deleteStream(jsm, "RETRY");
    },
  },
  {
    name: "home-deleted",
    what: "the home stream deleted: what is stored once it is made anew is handled once",
    findings: "expected", // the projection's counts go on over both streams
    async remove(jsm, world) {
      await world.newHome();
      await jsm.streams.delete("EVENTS");
    },
  },
];

const atRest = restDeletions.map(
  ({ remove, ...fault }): Fault => ({
    ...fault,
    full: { events: 10_000, keys: 100, times: 4 },
    quick: { events: 600, keys: 40, times: 1 },
    async run(world, { events, keys, times }) {
      await world.startNode();
      const jsm = await jetstreamManager(world.nc);
      const part = Math.ceil(events / keys / (times + 1));
      for (let turn = 0; turn < times; turn++) {
        await world.produce({ part: [turn * part + 1, (turn + 1) * part] });
        await world.settled();
        await remove(jsm, world, turn);
      }
      await world.produce({ part: [times * part + 1, events] });
      return times;
    },
  }),
);

export const deletionFaults: readonly Fault[] = [...underWork, ...atRest];
