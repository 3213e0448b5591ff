// The home stream's own borders: its head cut over an idle handler's ledger, and full.
import assert from "node:assert/strict";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers } from "nats";
import type { Fault } from "../fault.ts";
import type { FaultWorld } from "../world.ts";
import { pause, sendsOf } from "./under-load.ts";

const mib = 2 ** 20;

/** Waits until the producer stands still. */
async function untilFull(world: FaultWorld): Promise<void> {
  for (let last = -1; world.progress.acked !== last; ) {
    last = world.progress.acked;
    await pause(700);
  }
  const { acked } = world.progress;
  const sends = sendsOf(world);
  assert.ok(acked < sends, "all was sent before the stream was full, so this proves nothing");
  world.notes.push(`full after ${acked} of ${sends} sends (${world.plan.sends.size} keys)`);
}

/** A foreign event, so that few others fill a stream of the smallest size that there is. */
async function takeRoom({ nc }: FaultWorld, bytes: number): Promise<void> {
  if (bytes <= 0) return;
  const lines = headers();
  const attributes = { specversion: "1.0", id: "ballast", source: "/ballast", type: "ballast" };
  for (const [name, value] of Object.entries(attributes)) lines.set(`ce-${name}`, value);
  await jetstream(nc).publish("events.ballast.1", new Uint8Array(bytes), { headers: lines });
}

export const home: readonly Fault[] = [
  {
    name: "idle-ledger",
    what: "the runtime away, and the head cut over its handlers' last ledger records; then it comes back",
    full: { events: 20_000, keys: 200, times: 5 },
    quick: { events: 600, keys: 40, times: 1 },
    async run(world, { events, keys, times }) {
      const jsm = await jetstreamManager(world.nc);
      let node = await world.startNode();
      const perPart = Math.ceil(events / keys / (times + 1));
      for (let turn = 0; turn < times; turn++) {
        await world.produce({ part: [turn * perPart + 1, (turn + 1) * perPart] });
        await world.settled();
        await world.stopNode(node);
        await world.newHome();
        const { state } = await jsm.streams.info("EVENTS");
        await jsm.streams.purge("EVENTS", { seq: state.last_seq + 1 });
        node = await world.startNode();
      }
      await world.produce({ part: [times * perPart + 1, events] });
      return times;
    },
  },
  {
    name: "home-full",
    what: "the home stream full for seconds, then a restart with more room",
    full: { events: 30_000, keys: 200, times: 5 },
    quick: { events: 800, keys: 40, times: 1 },
    env: { EDDY_DRAIN: "1s" },
    async run(world, { events, times }) {
      // An event takes about 240 bytes: they alone, where no effect finds room between them, fill it as often.
      const room = Math.max(mib, Math.floor((events * 200) / (times + 1)));
      world.env.EDDY_HOME_MAX_BYTES = String(room);
      let node = await world.startNode();
      await takeRoom(world, room - events * 150); // half of the events fill what is left, without any effect
      const producing = world.produce();
      for (let turn = 1; turn <= times; turn++) {
        await untilFull(world);
        await world.stopNode(node);
        world.env.EDDY_HOME_MAX_BYTES = String(
          turn === times ? events * 20_000 : room * (turn + 1),
        );
        node = await world.startNode();
      }
      await producing;
      return times;
    },
  },
];
