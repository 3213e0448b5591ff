// A second stream with the home stream's subjects, as a mirror of a hub's would be: what stands on `hub.…` in the hub's own
// stream is sourced into it as `events.…`.
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { eventually } from "./eventually.ts";

export const hubStream = "HUB";
export const hubRoot = "hub";
const origin = "HUBORIGIN";

/** Adds both; what is produced on `hub` follows into HUB. */
export async function addHub(nc: NatsConnection): Promise<void> {
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({ name: origin, subjects: ["hub.>"] });
  const subject_transforms = [{ src: "hub.>", dest: "events.>" }];
  await jsm.streams.add({
    name: hubStream,
    sources: [{ name: origin, subject_transforms }],
    allow_direct: true,
  });
}

/** Resolves once HUB has so many messages. */
export async function untilHubHas(nc: NatsConnection, count: number): Promise<void> {
  const jsm = await jetstreamManager(nc);
  const there = async () => (await jsm.streams.info(hubStream)).state.messages >= count;
  await eventually(there, { timeoutMs: 30_000, what: `that ${hubStream} has ${count} messages` });
}
