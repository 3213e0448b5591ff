// Everything around a fault: a server, runtimes as processes, the load and how far it has come.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { type Broker, connectBroker } from "../../runtime/broker/index.ts";
import { describeThrown } from "../../runtime/events/index.ts";
import { readHandlers } from "../../runtime/pipeline/index.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsOptions, startNats, type TestNats } from "../support/nats.ts";
import { startNode, type TestNode, temporaryFolder } from "../support/node.ts";
import { type ProduceOptions, produce, types } from "./load.ts";
import { type Logged, readLetters, readLog } from "./log.ts";
import type { Plan } from "./model.ts";
import type { Random } from "./random.ts";

const startedMb = 60; // what a runtime has at least once it runs

export const loadSource = readFileSync(join(import.meta.dirname, "fixtures/load.ts"), "utf8");

export interface Progress {
  /** Sends that the server has acknowledged. */
  readonly acked?: number;
  /** Effects of `relay` that came by; a hint, for the log is the truth. */
  readonly noted?: number;
}

export interface FaultWorld extends AsyncDisposable {
  readonly nats: TestNats;
  readonly nc: NatsConnection;
  readonly plan: Plan;
  readonly random: Random;
  readonly handlers: string;
  /** Environment of each runtime that starts from now on. */
  readonly env: Record<string, string>;
  /** The server that runtimes connect to, where it is not `nats` itself. */
  via: string | undefined;
  /** Runtimes that were started and not ended, oldest first. */
  readonly nodes: readonly TestNode[];
  startNode(ready?: boolean): Promise<TestNode>;
  killNode(node: TestNode): Promise<void>;
  produce(options?: ProduceOptions): Promise<void>;
  /** SIGTERM. */
  stopNode(node: TestNode): Promise<void>;
  reached(progress: Progress, timeoutMs?: number): Promise<void>;
  /** Waits for so many more effects, or nearly all. */
  advanced(noted: number, timeoutMs?: number): Promise<void>;
  readonly progress: Readonly<Required<Progress>>;
  /** Waits until nothing waits any more, or for so long; what is missing then is lost. */
  settled(timeoutMs?: number): Promise<void>;
  /** Everything that the home stream held so far, also what was cut from its head. */
  harvest(): Promise<readonly Logged[]>;
  /** The ledgers of the home stream are gone, with all that was handled so far: counts and sequences begin anew. */
  newHome(): Promise<void>;
  /** Ids that the producer has an acknowledgement for. */
  readonly acked: ReadonlySet<string>;
  write(file: string, source: string): void;
  /** What all runtimes of this world have written. */
  output(): string;
  readonly notes: string[];
  /** What is to be found in the end: all that was not handled in an earlier home stream. */
  expected(): ReadonlySet<string>;
  /** Ids that the projection met in earlier home streams, repeats too. */
  readonly metBefore: readonly string[];
  /** Dead letters of an earlier home stream. */
  readonly lettersBefore: ReadonlySet<string>;
  /** Letters of events below this sequence were deleted by the fault. */
  lettersFrom: number;
  /** Memory of the first runtime when the tenth part was done. */
  readonly rssBeforeMb: number | undefined;
  readonly disk: Disk | undefined;
}

/** A disk that the server stores on, where the fault is the disk's. */
export interface Disk extends AsyncDisposable {
  readonly path: string;
  cut?(keepJournal: number): Promise<void>;
}

export interface WorldOptions {
  readonly disk: Disk | undefined;
  readonly plan: Plan;
  readonly random: Random;
  readonly server: NatsOptions;
  readonly env: Readonly<Record<string, string>>;
  readonly settleMs: number;
}

export async function startFaultWorld(options: WorldOptions): Promise<FaultWorld> {
  const { plan, random, settleMs } = options;
  const folder = temporaryFolder();
  const handlers = join(folder.path, "handlers");
  mkdirSync(handlers);
  const nats = await startNats(options.server);
  const nc = await nats.connect({ maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const nodes: TestNode[] = [];
  const ended: string[] = [];
  const acked = new Set<string>();
  const count = { acked: 0, noted: 0 };
  let log: Logged[] = [];
  const metBefore: string[] = [];
  let lettersBefore: ReadonlySet<string> = new Set();
  let rssBeforeMb: number | undefined;
  const onNoted = () => {
    count.noted++;
    if (rssBeforeMb !== undefined || count.noted * 10 <= plan.size || nodes[0] === undefined)
      return;
    const residentNow = residentMb(nodes[0]);
    if (residentNow >= startedMb) rssBeforeMb = residentNow; // else it was just killed, or is starting
  };
  nc.subscribe(`events.${types.noted}.*`, { callback: onNoted });

  const world: FaultWorld = {
    nats,
    nc,
    plan,
    random,
    handlers,
    env: { EDDY_LOG_LEVEL: "info", ...options.env },
    via: undefined,
    nodes,
    acked,
    notes: [],
    lettersFrom: 0,
    disk: options.disk,
    progress: count,
    expected() {
      const before = new Set(metBefore);
      return new Set([...plan.byId.keys()].filter((id) => !before.has(id)));
    },
    get metBefore() {
      return metBefore;
    },
    get lettersBefore() {
      return lettersBefore;
    },
    get rssBeforeMb() {
      return rssBeforeMb;
    },
    async startNode(ready = true) {
      const { env, via } = world;
      const node = await startNode({ nats: { url: via ?? nats.url }, handlers, env, ready: false });
      nodes.push(node);
      const isReady = async () => (await node.readiness()).status === 200;
      if (ready) await eventually(isReady, { timeoutMs: settleMs, what: "that it is ready" });
      return node;
    },
    async killNode(node) {
      await node.kill();
      ended.push(node.output());
      nodes.splice(nodes.indexOf(node), 1);
    },
    async stopNode(node) {
      await node.stop();
      await world.killNode(node);
    },
    advanced: (noted, timeoutMs) =>
      world.reached({ noted: Math.min(count.noted + noted, plan.size * 0.95) }, timeoutMs),
    async produce(how = {}) {
      await produce(nc, plan, how, (event) => {
        acked.add(event.id);
        count.acked++;
      });
    },
    async reached(progress, timeoutMs = settleMs) {
      const { acked: sends = 0, noted = 0 } = progress;
      await eventually(
        () => {
          if (count.acked >= sends && count.noted >= noted) return true;
          throw new Error(`${JSON.stringify(count)}\n${world.output().slice(-2_000)}`);
        },
        { timeoutMs, what: `the progress ${JSON.stringify(progress)}` },
      );
    },
    settled: (timeoutMs = settleMs) => settled(world, timeoutMs),
    async harvest() {
      for (const entry of await readLog(nc, log.at(-1)?.seq ?? 0)) log.push(entry); // too many to be arguments
      return log;
    },
    async newHome() {
      await world.harvest();
      for (const { kind, id } of log) if (kind === "placed") metBefore.push(id);
      lettersBefore = await readLetters(nc);
      log = [];
    },
    write(file, source) {
      const aside = join(folder.path, "aside");
      writeFileSync(aside, source);
      renameSync(aside, join(handlers, file));
    },
    output: () => [...ended, ...nodes.map((node) => node.output())].join(""),
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node.kill()));
      await nats[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
  world.write("load.ts", loadSource);
  return world;
}

/** Each handler has read all, and nothing waits for a retry. */
async function settled(world: FaultWorld, timeoutMs: number): Promise<void> {
  const handlers = 4; // those of the load; a fault may bring more
  const quiet = (broker: Broker) => async () => {
    const rows = await readHandlers(broker);
    const waiting = rows.filter(({ lag, retrying }) => lag + retrying > 0);
    if (rows.length >= handlers && waiting.length === 0) return true;
    const seen = waiting.map(
      ({ name, lag, retrying }) => `${name}: lag ${lag}, retrying ${retrying}`,
    );
    throw new Error(seen.join("; "));
  };
  const options = { servers: [world.nats.url], name: "settled", timeoutMs: 10_000 };
  const names = { app: "eddy", home: "EVENTS" };
  // A server that has just recovered a disk may answer late.
  const broker = await eventually(() => connectBroker(options, names), { timeoutMs: 60_000 });
  try {
    await eventually(quiet(broker), { timeoutMs, what: "that nothing waits any more" });
  } catch (error) {
    world.notes.push(describeThrown(error).message); // the judge finds what it means
  } finally {
    await broker.close();
  }
  const { messages } = await eventually(() => stateOfRetry(world), { timeoutMs: 60_000 });
  if (messages > 0) world.notes.push(`${messages} messages are left in RETRY`);
}

async function stateOfRetry({ nc }: FaultWorld) {
  const manager = await jetstreamManager(nc);
  return (await manager.streams.info("RETRY")).state;
}

export function residentMb({ pid }: Pick<TestNode, "pid">): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1_024);
}
