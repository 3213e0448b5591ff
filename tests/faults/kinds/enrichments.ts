// A source that changes while it is asked, and the runtime killed between a call and its answer.
import assert from "node:assert/strict";
import { jetstream } from "@nats-io/jetstream";
import { headers } from "nats";
import { startSource, type TestSource } from "../../support/source.ts";
import type { Fault } from "../fault.ts";
import { readEntries } from "../log.ts";
import type { FaultWorld } from "../world.ts";
import { killRuntime } from "./kills.ts";
import { pause, spread, underLoad } from "./under-load.ts";

const changed = "com.acme.load.changed";

const handlersOf = (source: TestSource) => `
import { enrich, event, projection, Type } from "eddyline";
const Changed = event("${changed}", Type.Object({ key: Type.String() }), { carries: "reference" });
const Known = event("com.acme.load.known", Type.Object({ key: Type.String(), version: Type.Integer() }), {
  carries: "state", key: "key", deletion: "never",
});
export const look = enrich(Changed, Known, { start: "first", share: "200ms" }, async ({ data }, { signal }) => {
  const answer = await fetch("${source.url}/" + data.key, { signal });
  if (!answer.ok) throw new Error("the source answers " + answer.status);
  return await answer.json();
});
export const known = projection("known", { from: [Changed, Known], key: ({ data }) => data.key, apply: (before, e) =>
  e.type === Changed.type ? { ...before, told: (before?.told ?? 0) + 1 } : { ...before, ...e.data } });
`;

/** Each change is notified of once it is true, until the server has that. */
async function changeAll(world: FaultWorld, source: TestSource, times: number): Promise<void> {
  const js = jetstream(world.nc);
  for (let n = 0; n < times; n++) {
    const key = `s${world.random.between(0, 19)}`;
    source.change(key);
    const lines = headers();
    const attributes = { specversion: "1.0", id: `c${n}`, source: "/load", type: changed };
    for (const [name, value] of Object.entries(attributes)) lines.set(`ce-${name}`, value);
    lines.set("content-type", "application/json");
    const data = JSON.stringify({ key });
    const stored = () => js.publish(`events.${changed}.${key}`, data, { headers: lines });
    while ((await stored().catch(() => undefined)) === undefined) await pause(50);
  }
}

/** What the projection holds is what is true, and each notification has come through. */
async function assertTrue(world: FaultWorld, source: TestSource): Promise<void> {
  const entries = await readEntries(world.nc, "known");
  for (const [key, version] of source.versions) {
    const told = version; // one notification for each change
    assert.deepEqual(entries.get(key), { told, key, version }, `of ${key} something else is true`);
  }
}

export const enrichments: readonly Fault[] = [
  {
    name: "enrich-killed",
    what: "kill -9 of the runtime while it asks a source that changes; in the end its projection holds the source's truth",
    full: { events: 30_000, keys: 300, times: 20 },
    quick: { events: 600, keys: 40, times: 1, perSecond: 300 },
    async run(world, size) {
      await using source = await startSource(30); // slow enough for a kill to fall into calls
      world.write("look.ts", handlersOf(source));
      await world.startNode();
      const changes = changeAll(world, source, size.events / 2);
      const injected = await underLoad(world, size, () =>
        spread(world, size, "noted", () => killRuntime(world)),
      );
      await changes;
      await world.settled();
      await assertTrue(world, source);
      world.notes.push(`${source.callCount} calls for ${size.events / 2} changes`);
      return injected;
    },
  },
];
