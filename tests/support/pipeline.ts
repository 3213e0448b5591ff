// A pipeline in this process on a real server, for tests of the pipeline itself: no folder, no HTTP.
import type { Declaration, Handler } from "../../runtime/authoring/index.ts";
import {
  type Broker,
  connectBroker,
  type ObjectLimits,
  storeBatch,
} from "../../runtime/broker/index.ts";
import { type CloudEvent, encodeMessage, eventSubject, keyOf } from "../../runtime/events/index.ts";
import {
  type Fact,
  type HandlerRow,
  type Pipeline,
  readHandlers,
  startPipeline,
} from "../../runtime/pipeline/index.ts";
import {
  createEntryReads,
  type EntryReads,
  findEntries,
  openEntries,
  openProjectionReader,
} from "../../runtime/projections/index.ts";
import { eventually } from "./eventually.ts";
import type { TestNats } from "./nats.ts";

export interface TestPipeline extends AsyncDisposable {
  readonly broker: Broker;
  readonly pipeline: Pipeline;
  readonly facts: Fact[];
  readonly reads: EntryReads;
  /** Runs exactly these declarations, each under its name. */
  run(declarations: Readonly<Record<string, Declaration>>, version?: string): Promise<void>;
  /** Waits until all named handlers run. */
  running(...names: string[]): Promise<void>;
  /** Waits until nothing is in flight and every handler has read its stream, then gives the counts. */
  settled(): Promise<ReadonlyMap<string, HandlerRow>>;
  stop(): Promise<void>;
}

export async function startTestPipeline(
  nats: TestNats,
  options: {
    app?: string;
    delaysMs?: readonly number[];
    retentionMs?: number;
    tombstoneMs?: number;
    homeMaxBytes?: number;
    objects?: ObjectLimits;
  } = {},
): Promise<TestPipeline> {
  const broker = await connectBroker(
    { servers: [nats.url], name: "test", timeoutMs: 5_000 },
    {
      app: options.app ?? "test",
      home: "EVENTS",
      ...(options.objects === undefined ? {} : { objects: options.objects }),
    },
  );
  const facts: Fact[] = [];
  const reader = await openProjectionReader(broker.nc, broker);
  const reads = createEntryReads(broker, reader, (fact) => facts.push(fact));
  const pipeline = await startPipeline({
    broker,
    homeMaxBytes: options.homeMaxBytes ?? 256 * 1024 * 1024,
    defaults: {
      deadlineMs: 5_000,
      delaysMs: options.delaysMs ?? [50, 50, 50],
      jitter: 0,
      deathsMax: 3,
      retentionMs: options.retentionMs ?? 3_600_000,
      tombstoneMs: options.tombstoneMs ?? 86_400_000,
    },
    identityLimits: { countMax: 100_000, ageMs: 3_600_000 },
    openEntries: (projection) => openEntries(broker, projection, (fact) => facts.push(fact)),
    readEntry: reads.read,
    onStored: reads.stored,
    async findEntries(projection, query) {
      return await findEntries(await openProjectionReader(broker.nc, broker), projection, query);
    },
    mapStack: (stack) => stack,
    report: (fact) => facts.push(fact),
  });
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    await pipeline.stop(5_000);
    await reads.close();
    await broker.close();
  };
  const rows = async () => new Map((await readHandlers(broker)).map((row) => [row.name, row]));
  const running = async (...names: string[]) => {
    await eventually(
      () => {
        const states = new Map(
          pipeline.status().map((s) => [s.handler.name, `${s.state} ${s.detail ?? ""}`]),
        );
        for (const name of names) {
          const state = states.get(name) ?? "absent";
          if (!state.startsWith("running")) throw new Error(`${name} is ${state}`);
        }
        return true;
      },
      { timeoutMs: 10_000 },
    );
  };
  return {
    broker,
    pipeline,
    facts,
    reads,
    async run(declarations, version = "v1") {
      const handlers = Object.entries(declarations).map(
        ([name, declaration]): Handler => ({
          name: declaration.kind === "projection" ? declaration.name : name,
          file: `${name}.ts`,
          version,
          declaration,
        }),
      );
      reads.keep(
        handlers.map(({ declaration }) => declaration).filter((one) => one.kind === "projection"),
      );
      await pipeline.apply(handlers);
      await running(...handlers.map((handler) => handler.name));
    },
    running,
    async settled() {
      return await eventually(
        async () => {
          const now = await rows();
          for (const row of now.values()) {
            if (row.lag > 0 || row.retrying > 0)
              throw new Error(`not settled: ${JSON.stringify(row)}`);
          }
          const busy = pipeline.status().find((status) => status.inFlight > 0);
          if (busy !== undefined)
            throw new Error(`${busy.handler.name} has ${busy.inFlight} in flight`);
          return now;
        },
        { timeoutMs: 20_000 },
      );
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Stores events as any producer would: one message each, without `Nats-Msg-Id`, so that the server dedupes nothing. */
export async function produce(broker: Broker, events: readonly CloudEvent[]): Promise<void> {
  await Promise.all(
    events.map(async (event) => {
      const result = await storeBatch(
        broker.nc,
        [{ natsSubject: eventSubject(event.type, keyOf(event)), ...encodeMessage(event) }],
        10_000,
      );
      if (result.kind !== "stored") throw new Error(`not stored: ${JSON.stringify(result)}`);
    }),
  );
}

/** An event with what the test does not care about filled in. */
export function makeTestEvent(
  type: string,
  id: string,
  data: unknown,
  more: Partial<CloudEvent> = {},
): CloudEvent {
  return {
    specversion: "1.0",
    id,
    source: "/test",
    type,
    subject: id,
    datacontenttype: "application/json",
    extensions: {},
    data,
    ...more,
  };
}

/** How many messages a subject filter holds in a stream. */
export async function countSubjects(
  broker: Broker,
  stream: string,
  filter: string,
): Promise<number> {
  const info = await broker.jsm.streams.info(stream, { subjects_filter: filter });
  return Object.values(info.state.subjects ?? {}).reduce((sum, n) => sum + n, 0);
}
