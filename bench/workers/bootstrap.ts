// A projection that begins with the compacted home, in a node that starts: the time until its bucket holds every key and
// all handlers run with all identities known. Or the client's watch of a bucket with the same entries: until the last is there.
// Both have their connection before, and what both hold in the end is checked.
import { Kvm } from "@nats-io/kv";
import { Type } from "typebox";
import { type Declaration, event, on, projection } from "../../runtime/authoring/index.ts";
import { connectBroker } from "../../runtime/broker/index.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { home, stateDataOf, stateType } from "../backlog.ts";
import { startNodePipeline } from "./node-pipeline.ts";
import { work } from "./task.ts";

export interface BootstrapTask {
  readonly url: string;
  /** The two that are measured; `compact` and `put` make what they begin with. */
  readonly way: "runtime" | "kv.watch" | "compact" | "put";
  /** Updates in the log, of the keys in turn. */
  readonly updates: number;
  readonly keys: number;
}

const bucket = "watched";
const folded = "bootstrapped";

const Updated = event(
  stateType,
  Type.Object({ key: Type.String(), n: Type.Integer(), pad: Type.String() }),
  { carries: "state", key: "key", deletion: "never", stream: "STATE" },
);
const waiting = on(Updated, () => {}); // from now on; as long as it is there, the compacted home is kept
const bootstrapped = projection(folded, {
  from: [Updated],
  key: ({ data }) => data.key,
  apply: (_, { data }) => data,
});

await work<BootstrapTask>(async ({ url, way, updates, keys }) => {
  const broker = await connectBroker(
    { servers: [url], name: way, timeoutMs: 5_000 },
    { app: "bootstrap", home },
  );

  /** Until so many events were handled by whoever; and how many were. */
  async function run(declaration: Declaration, wanted: number) {
    let handled = 0;
    const began = performance.now();
    const pipeline = await startNodePipeline(broker, (fact) => {
      if (fact.kind === "outcome" && fact.outcome === "handled") handled++;
    });
    await pipeline.apply([{ name: folded, file: "bench", version: "0", declaration }]);
    await eventually(
      () => {
        const standing = pipeline.status().filter(({ state }) => state !== "running").length;
        const { size } = pipeline.identities;
        if (standing > 0 || size < updates || handled < wanted)
          throw new Error(`${standing} wait, ${size} known, ${handled} handled`);
        return true;
      },
      { timeoutMs: 900_000, what: "that all is handled and all identities are known" },
    );
    const readyMs = performance.now() - began;
    await pipeline.stop(60_000);
    return { readyMs, folded: handled };
  }

  async function watch() {
    const began = performance.now();
    const kv = await new Kvm(broker.nc).open(bucket);
    const values = new Map<string, unknown>();
    for await (const entry of await kv.watch()) {
      values.set(entry.key, entry.json());
      if (entry.delta === 0) break;
    }
    return { readyMs: performance.now() - began, folded: values.size };
  }

  async function put() {
    const kv = await new Kvm(broker.nc).create(bucket);
    const lasts = Array.from({ length: keys }, (_, at) => stateDataOf(updates - keys + at, keys));
    await Promise.all(lasts.map((data) => kv.put(data.key, JSON.stringify(data))));
    return {};
  }

  /** That the last update of each key is there, and nothing else. */
  async function assertLast(name: string): Promise<void> {
    const kv = await new Kvm(broker.nc).open(name);
    for (let n = updates - keys; n < updates; n++) {
      const due = stateDataOf(n, keys);
      const found = await kv.get(due.key);
      if (found?.json<typeof due>().n !== n) throw new Error(`${name}: ${due.key} is not ${n}`);
    }
    const { values } = await kv.status();
    const cursors = name === folded ? 1 : 0; // in the bucket's own stream
    if (values - cursors !== keys) throw new Error(`${name} holds ${values} values`);
  }

  switch (way) {
    case "compact":
      return await run(waiting, updates);
    case "put":
      return await put();
    case "kv.watch": {
      const sample = await watch();
      await assertLast(bucket);
      return sample;
    }
    case "runtime": {
      const sample = await run(bootstrapped, keys);
      await assertLast(folded);
      return sample;
    }
  }
});
