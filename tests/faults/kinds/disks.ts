// The disk under the server: full, and without power.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { open, statfs } from "node:fs/promises";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { mountPowerCutDisk, mountSmallDisk, whyNoMount } from "../../support/fuse/mount.ts";
import { startNats } from "../../support/nats.ts";
import type { Fault } from "../fault.ts";
import type { FaultWorld } from "../world.ts";
import { pause, sendsOf, spread, underLoad } from "./under-load.ts";

/** The server gives away three quarters of it, and the runtime reserves 256 MB for the identity index alone. */
const smallDiskBytes = 768 * 2 ** 20;

const zeros = Buffer.alloc(2 ** 24);

/** What is free between two blows, so that the disk is full at once: to fill all of it takes as long as the rest of a load
 * that has fallen behind. */
const roomBytes = 64 * 2 ** 20;

async function fillBut(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const file = await open(join(folder, ballast), "a");
  for (let left = bavail * bsize - bytes; left > 0; left -= zeros.byteLength) {
    await file.write(zeros, 0, Math.min(left, zeros.byteLength));
  }
  await file.close();
}

/** Writes until nothing fits any more. */
async function fill(folder: string): Promise<void> {
  const file = await open(join(folder, ballast), "a");
  try {
    for (let bytes = zeros.byteLength; bytes >= 512; ) {
      const full = await file.write(zeros, 0, bytes).then(
        ({ bytesWritten }) => bytesWritten < bytes,
        () => true,
      );
      if (full) bytes /= 2;
    }
  } finally {
    await file.close();
  }
}

const ballast = "ballast";

async function fillDisk(world: FaultWorld, folder: string): Promise<void> {
  await fill(folder);
  const before = world.progress.acked;
  let last = before - 1;
  while (world.progress.acked !== last) {
    last = world.progress.acked;
    await pause(1_500);
  }
  assert.ok(last < sendsOf(world), "all was sent before the disk was full, so this proves nothing");
  world.notes.push(`full after ${before} sends, ${last - before} more were acknowledged`);
  rmSync(join(folder, ballast));
  await world.nats.restart(); // a server that met a full disk has switched JetStream off
  await fillBut(folder, roomBytes);
}

/** That the simulation takes something away: with the server's default sync, what was acknowledged has to be gone. */
async function canary(): Promise<number> {
  await using disk = await mountPowerCutDisk();
  const storeDir = join(disk.path, "store");
  await using nats = await startNats({ sync: "default", storeDir });
  const nc = await nats.connect();
  const js = jetstream(nc);
  await (await jetstreamManager(nc)).streams.add({ name: "EVENTS", subjects: ["events.>"] });
  const sends = Array.from({ length: 300 }, (_, n) => js.publish(`events.${n}`));
  await Promise.all(sends);
  await nats.kill();
  await disk.cut(1);
  await nats.restart();
  const manager = await jetstreamManager(await nats.connect());
  const info = await manager.streams.info("EVENTS").catch(() => undefined);
  return sends.length - (info?.state.messages ?? 0);
}

export const disks: readonly Fault[] = [
  {
    name: "disk-full",
    what: "the server's disk filled to the last block, then room again and a restart of the server",
    full: { events: 20_000, keys: 200, times: 4, perSecond: 500 },
    quick: { events: 600, keys: 40, times: 1, perSecond: 150 },
    impossible: () => whyNoMount(false),
    disk: () => mountSmallDisk(smallDiskBytes),
    env: { EDDY_HOME_MAX_BYTES: "64MiB" },
    async run(world, size) {
      const folder = world.disk?.path ?? "";
      await world.startNode();
      await fillBut(folder, roomBytes);
      return underLoad(world, size, () =>
        spread(world, size, "acked", () => fillDisk(world, folder)),
      );
    },
  },
  {
    name: "power-cut",
    what: "power cut of runtime and server: what the server did not sync is gone (sync_interval: always)",
    full: { events: 20_000, keys: 200, times: 20 },
    quick: { events: 600, keys: 40, times: 1 },
    impossible: () => whyNoMount(true),
    disk: mountPowerCutDisk,
    async run(world, size) {
      const gone = await canary();
      assert.ok(
        gone > 0,
        "the canary lives: with the default sync nothing was lost, so this proves nothing",
      );
      world.notes.push(`canary: with the default sync ${gone} of 300 acknowledged events are gone`);
      await world.startNode();
      return underLoad(world, size, () =>
        spread(world, size, "acked", async () => {
          await Promise.all([
            world.nats.kill(),
            ...world.nodes.map((node) => world.killNode(node)),
          ]);
          await world.disk?.cut?.(world.random.next());
          await world.nats.restart();
          await world.startNode();
        }),
      );
    },
  },
];
