// Many readers of a bucket's entries, each waiting for one before it asks for the next. What is read is checked.
import { Kvm } from "@nats-io/kv";
import { Type } from "typebox";
import { type Context, event, on, projection } from "../../runtime/authoring/index.ts";
import { connectBroker } from "../../runtime/broker/index.ts";
import { runReaction } from "../../runtime/pipeline/handle.ts";
import { createEntryReads, openProjectionReader } from "../../runtime/projections/index.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { home } from "../backlog.ts";
import { bucket } from "../entries.ts";
import { beginSpan, work } from "./task.ts";

export interface ReadsTask {
  readonly url: string;
  readonly way: string;
  readonly entries: number;
  readonly readers: number;
  readonly reads: number;
  readonly warmUp: number;
}

type Get = (key: string) => Promise<unknown>;

const Noted = event("com.acme.noted", Type.Object({ n: Type.Integer() }));
const state = Type.Object({ n: Type.Integer() });
const spec = { from: [Noted], state, key: () => "", apply: () => null };
const remote = projection(bucket, spec);
const local = projection(bucket, { ...spec, local: "all" });

await work<ReadsTask>(async ({ url, way, entries, readers, reads, warmUp }) => {
  const broker = await connectBroker(
    { servers: [url], name: "reads", timeoutMs: 5_000 },
    { app: "reads", home },
  );
  const get = way === "kv.get" ? await idiomatic() : await ours();
  let next = 0;

  async function idiomatic(): Promise<Get> {
    const kv = await new Kvm(broker.nc).open(bucket);
    return async (key) => (await kv.get(key))?.json();
  }

  async function ours(): Promise<Get> {
    const reader = await openProjectionReader(broker.nc, broker);
    const reading = createEntryReads(broker, reader, () => {});
    if (way === "local") {
      reading.keep([local]);
      await eventually(() => reading.status()[0]?.ready === true);
    }
    const wanted = way === "local" ? local : remote;
    return await contextGet(reading.read, (ctx) => (key) => ctx.get(wanted, key));
  }

  async function readAll(count: number): Promise<void> {
    const until = next + count;
    const one = async () => {
      while (next < until) {
        const n = (next++ * 7_919) % entries;
        const value = await get(String(n));
        if (Reflect.get(Object(value), "n") !== n) throw new Error(`entry ${n} is wrong`);
      }
    };
    await Promise.all(Array.from({ length: readers }, one));
  }

  await readAll(warmUp);
  const end = await beginSpan();
  await readAll(reads);
  const { ms, cpuMs } = await end();
  return { rate: reads / (ms / 1_000), cpuUs: (cpuMs * 1_000) / reads };
});

/** The `get` of a handler that does not end. */
function contextGet(
  readEntry: Parameters<typeof runReaction>[3]["readEntry"],
  take: (ctx: Context) => Get,
): Promise<Get> {
  return new Promise((resolve) => {
    const look = on(Noted, async (_, ctx) => {
      resolve(take(ctx));
      await new Promise(() => {});
    });
    const handler = { name: "look", file: "", version: "", declaration: look };
    const made = {
      specversion: "1.0" as const,
      ...{ id: "1", source: "/bench", type: Noted.type, extensions: {}, data: { n: 1 } },
    };
    const run = { handler, event: made, position: { stream: home, seq: 1 }, attempt: 1 };
    const stopping = { over: false, cuts: new Set<() => void>() };
    void runReaction(
      look,
      run,
      { deadlineMs: 2 ** 31 - 1, source: "/bench" },
      {
        ...{ report() {}, readEntry, findEntries: async () => ({ entries: [] }), stopping },
      },
    );
  });
}
