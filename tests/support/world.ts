// Everything around a runtime process in one place: a server, a handlers folder that the test writes, a producer,
// and the counts. `await using world = await startWorld({ "relay.ts": source });`
import assert from "node:assert/strict";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers, type NatsConnection } from "nats";
import { eddyJson } from "./cli.ts";
import { eventually } from "./eventually.ts";
import { type LogEntry, readLog } from "./log.ts";
import { type NatsOptions, startNats, type TestNats } from "./nats.ts";
import { type NodeOptions, startNode, type TestNode, temporaryFolder } from "./node.ts";

/** A row of `eddy handlers --json`. */
export interface Row {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly delivered: number;
  readonly handled: number;
  readonly duplicate: number;
  readonly filtered: number;
  readonly expired: number;
  readonly retrying: number;
  readonly dead: number;
  readonly lag: number;
}

export interface TestEvent {
  readonly id: string;
  readonly type: string;
  readonly source?: string;
  readonly subject?: string;
  readonly data?: unknown;
}

export interface World extends AsyncDisposable {
  readonly nats: TestNats;
  readonly nc: NatsConnection;
  readonly handlers: string;
  /** Writes a handler file beside its place and moves it there, as a deployment does. */
  write(file: string, source: string): void;
  start(options?: Pick<NodeOptions, "env" | "ready">): Promise<TestNode>;
  /** Stores events as a foreign producer does: without `Nats-Msg-Id`, so that the server dedupes nothing. */
  produce(events: readonly TestEvent[]): Promise<void>;
  /** The same on subjects with another root: `hub` in place of `events`. */
  produceOn(root: string, events: readonly TestEvent[]): Promise<void>;
  log(): Promise<LogEntry[]>;
  /** What `eddy handlers --json` says, once nothing is in flight and its sums are right. */
  settled(): Promise<ReadonlyMap<string, Row>>;
}

export async function startWorld(
  files: Readonly<Record<string, string>>,
  options: NatsOptions = {},
): Promise<World> {
  const nats = await startNats(options);
  const folder = temporaryFolder();
  const handlers = join(folder.path, "handlers");
  mkdirSync(handlers);
  const nc = await nats.connect({ maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  const write = (file: string, source: string) => {
    const aside = join(folder.path, "aside");
    writeFileSync(aside, source);
    mkdirSync(dirname(join(handlers, file)), { recursive: true });
    renameSync(aside, join(handlers, file));
  };
  for (const [file, source] of Object.entries(files)) write(file, source);
  return {
    nats,
    nc,
    handlers,
    write,
    start: (more = {}) => startNode({ nats, handlers, ...more }),
    produce: (events) => produce(nc, "events", events),
    produceOn: (root, events) => produce(nc, root, events),
    log: () => readLog(nc),
    settled: () => settled(nats, nc),
    async [Symbol.asyncDispose]() {
      await nats[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

async function produce(
  nc: NatsConnection,
  root: string,
  events: readonly TestEvent[],
): Promise<void> {
  const js = jetstream(nc);
  const store = async ({ id, type, source = "/test", subject = id, data = {} }: TestEvent) => {
    const lines = headers();
    const attributes = { specversion: "1.0", id, source, type, subject };
    for (const [name, value] of Object.entries(attributes)) {
      lines.set(`ce-${name}`, encodeURIComponent(value));
    }
    lines.set("content-type", "application/json");
    await js.publish(`${root}.${type}.${subject}`, JSON.stringify(data), { headers: lines });
  };
  // A server that is short of CPU answers thousands at once too late.
  for (let at = 0; at < events.length; at += 500) {
    await Promise.all(events.slice(at, at + 500).map(store));
  }
}

async function settled(nats: TestNats, nc: NatsConnection): Promise<ReadonlyMap<string, Row>> {
  const manager = await jetstreamManager(nc);
  const rows = await eventually(
    async () => {
      for await (const { name, num_pending, num_ack_pending } of manager.consumers.list("EVENTS")) {
        const lag = num_pending + num_ack_pending;
        if (name.startsWith("eddy==") && lag > 0) throw new Error(`${name} is ${lag} behind`);
      }
      const rows = await eddyJson<Row[]>(nats, "handlers");
      rows.every(assertSettled);
      return rows;
    },
    { timeoutMs: 30_000, what: "that the handlers settle and their counts reconcile" },
  );
  return new Map(rows.map((row) => [row.name, row]));
}

function assertSettled(row: Row): true {
  const { delivered, handled, duplicate, filtered, expired, retrying, dead } = row;
  assert.equal(row.lag + retrying, 0, `something is in flight: ${JSON.stringify(row)}`);
  const sum = handled + duplicate + filtered + expired + retrying + dead;
  assert.equal(delivered, sum, `the counts do not reconcile: ${JSON.stringify(row)}`);
  return true;
}

/** What a handler did, as [delivered, handled, duplicate, dead]. */
export function countsOf(rows: ReadonlyMap<string, Row>, name: string): number[] {
  const row = rows.get(name);
  assert.ok(row, `no handler ${name} among ${[...rows.keys()].join(", ")}`);
  return [row.delivered, row.handled, row.duplicate, row.dead];
}
