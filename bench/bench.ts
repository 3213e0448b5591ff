// `npm run bench`: the runtime against the loop that one would write by hand with the same client.
// Ratios of medians, taken in one run: both ways alternate, each in a fresh process, on a backlog in a file stream.
// The loop does less: it has neither dedupe nor retries, and doubles its effects after a crash.
import { spawn } from "node:child_process";
import { join } from "node:path";
import {
  connectBroker,
  ensureStream,
  homeStreamConfig,
  storeBatch,
} from "../runtime/broker/index.ts";
import { encodeMessage, eventSubject } from "../runtime/events/index.ts";
import { startNats } from "../tests/support/nats.ts";
import type { WorkerResult, WorkerTask } from "./worker.ts";

interface Row {
  readonly name: string;
  /** Events a second, medians. */
  readonly ours: number;
  readonly reference: number;
  readonly unit: "events/s";
  readonly ratio: number;
  /** Lowest and highest of our runs. */
  readonly spread: readonly [number, number];
  /** Processor time of the client process, ours to the loop's. */
  readonly cpuRatio: number;
}

const json = process.argv.includes("--json");
const quick = process.argv.includes("--quick");
const events = quick ? 20_000 : 100_000;
const rounds = quick ? 3 : 5;

const rows: Row[] = [];
for (const sync of ["default", "always"] as const) {
  await using nats = await startNats({ sync });
  await fill(nats.url);
  for (const work of ["handle", "emit"] as const) rows.push(await compare(nats.url, work, sync));
}
if (json) process.stdout.write(`${JSON.stringify(rows)}\n`);
else printTable();
process.exit(0);

async function compare(url: string, work: WorkerTask["work"], sync: string): Promise<Row> {
  const results = { ours: [] as WorkerResult[], loop: [] as WorkerResult[] };
  for (let round = 0; round < rounds; round++) {
    const ways = round % 2 === 0 ? (["ours", "loop"] as const) : (["loop", "ours"] as const);
    for (const way of ways) {
      const run = `${way}-${work}-${round}`;
      results[way].push(await inFreshProcess({ way, work, url, events, run }));
    }
  }
  const rate = (all: readonly WorkerResult[]) => all.map(({ ms }) => (events / ms) * 1_000);
  const ours = rate(results.ours);
  const reference = median(rate(results.loop));
  const cpu = (all: readonly WorkerResult[]) => median(all.map(({ cpuMs }) => cpuMs));
  return {
    name: `${work === "handle" ? "handle" : "handle and emit one"}, sync ${sync}`,
    ours: Math.round(median(ours)),
    reference: Math.round(reference),
    unit: "events/s",
    ratio: round2(median(ours) / reference),
    spread: [Math.round(Math.min(...ours)), Math.round(Math.max(...ours))],
    cpuRatio: round2(cpu(results.ours) / cpu(results.loop)),
  };
}

async function inFreshProcess(task: WorkerTask): Promise<WorkerResult> {
  const worker = join(import.meta.dirname, "worker.ts");
  const child = spawn(process.execPath, ["--import", "tsx", worker, JSON.stringify(task)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  for await (const chunk of child.stdout) output += String(chunk);
  if (output === "") throw new Error(`the run ${task.run} ended without a result`);
  return JSON.parse(output) as WorkerResult;
}

/** A backlog of events with 300 bytes of data on 1,000 keys. */
async function fill(url: string): Promise<void> {
  const broker = await connectBroker(
    { servers: [url], name: "fill", timeoutMs: 5_000 },
    { app: "bench", home: "EVENTS" },
  );
  await ensureStream(broker.jsm, homeStreamConfig("EVENTS", 8 * 2 ** 30));
  const pad = "x".repeat(280);
  for (let from = 0; from < events; from += 900) {
    const count = Math.min(900, events - from);
    const batch = Array.from({ length: count }, (_, i) => {
      const n = from + i;
      const key = String(n % 1_000);
      const encoded = encodeMessage({
        specversion: "1.0",
        id: String(n),
        source: "/bench",
        type: "com.acme.measured",
        subject: key,
        extensions: {},
        data: { n, pad },
      });
      return { natsSubject: eventSubject("com.acme.measured", key), ...encoded };
    });
    const stored = await storeBatch(broker.nc, batch, 10_000);
    if (stored.kind !== "stored") throw new Error(`the backlog was not stored: ${stored.kind}`);
  }
  await broker.close();
}

function printTable(): void {
  const cells = rows.map((row) => [
    row.name,
    `${row.ours} (${row.spread[0]} to ${row.spread[1]})`,
    String(row.reference),
    `${row.ratio} x`,
    `${row.cpuRatio} x`,
  ]);
  const table = [["row", "ours, events/s", "loop, events/s", "rate", "CPU"], ...cells];
  const widths =
    table[0]?.map((_, at) => Math.max(...table.map((line) => line[at]?.length ?? 0))) ?? [];
  for (const line of table) {
    process.stdout.write(`${line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ")}\n`);
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
