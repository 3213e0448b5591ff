// One measured run in a fresh process: drains the backlog in one way, prints what it took as JSON, and ends.
// Measured: from the first request for events to the last one settled (ours: in the ledger; the loop: acked).
// Not measured: the start of Node and the connection.
import {
  AckPolicy,
  type JetStreamClient,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { connect } from "nats";
import { Type } from "typebox";
import { event, on } from "../runtime/authoring/index.ts";
import { connectBroker } from "../runtime/broker/index.ts";
import { startPipeline } from "../runtime/pipeline/index.ts";

export interface WorkerTask {
  readonly way: "ours" | "loop";
  readonly work: "handle" | "emit";
  readonly url: string;
  readonly events: number;
  /** Makes ledgers and consumers of this run its own. */
  readonly run: string;
}

export interface WorkerResult {
  readonly ms: number;
  readonly cpuMs: number;
}

const filter = "events.com.acme.measured.*";
const Measured = event("com.acme.measured", Type.Object({ n: Type.Integer(), pad: Type.String() }));
const Noted = event("com.acme.noted", Type.Object({ n: Type.Integer() }));

async function ours({ url, work, events, run }: WorkerTask): Promise<WorkerResult> {
  const names = { app: "bench", home: "EVENTS" };
  const broker = await connectBroker({ servers: [url], name: run, timeoutMs: 5_000 }, names);
  let settled = 0;
  let done = () => {};
  const finished = new Promise<void>((resolve) => {
    done = resolve;
  });
  const pipeline = await startPipeline({
    broker,
    homeMaxBytes: 8 * 2 ** 30,
    defaults: { deadlineMs: 30_000, delaysMs: [1_000], jitter: 0.2, retentionMs: 7 * 86_400_000 },
    identityLimits: { countMax: 1_000_000, ageMs: 86_400_000 },
    openEntries: () => Promise.reject(new Error("no projection is measured here")),
    readEntry: async () => undefined,
    mapStack: (stack) => stack,
    report(fact) {
      if (fact.kind === "outcome" && ++settled === events) done();
    },
  });
  const declaration =
    work === "handle"
      ? on(Measured, { start: "first" }, () => {})
      : on(Measured, { start: "first", emits: [Noted] }, (e, ctx) =>
          ctx.emit(Noted, { n: e.data.n }),
        );
  const stop = stopwatch();
  await pipeline.apply([{ name: run, file: "bench", version: "0", declaration }]);
  await finished;
  const result = stop();
  await pipeline.stop(5_000);
  await broker.close();
  return result;
}

async function loop({ url, work, events, run }: WorkerTask): Promise<WorkerResult> {
  const nc = await connect({ servers: url });
  const js = jetstream(nc);
  const jsm = await jetstreamManager(nc);
  await jsm.consumers.add("EVENTS", {
    durable_name: run,
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 20_000,
    filter_subject: filter,
  });
  const consumer = await js.consumers.get("EVENTS", run);
  const stop = stopwatch();
  const messages = await consumer.consume({ max_messages: 2_000 });
  const inFlight = new Set<Promise<void>>();
  let seen = 0;
  for await (const message of messages) {
    const { n } = JSON.parse(message.string()) as { n: number };
    if (work === "handle") message.ack();
    else {
      const publish: Promise<void> = emit(js, message, n).finally(() => inFlight.delete(publish));
      inFlight.add(publish);
      if (inFlight.size >= 256) await Promise.race(inFlight);
    }
    if (++seen === events) break;
  }
  await Promise.all(inFlight);
  await nc.flush();
  const result = stop();
  await nc.close();
  return result;
}

async function emit(js: JetStreamClient, message: JsMsg, n: number): Promise<void> {
  await js.publish(`events.com.acme.noted.${n % 1_000}`, JSON.stringify({ n }));
  message.ack();
}

function stopwatch(): () => WorkerResult {
  const began = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { ms: performance.now() - began, cpuMs: (user + system) / 1_000 };
  };
}

const task = JSON.parse(process.argv[2] ?? "{}") as WorkerTask;
const result = await (task.way === "ours" ? ours : loop)(task);
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
