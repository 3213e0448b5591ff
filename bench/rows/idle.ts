// idle: what a node with 50 handlers takes while nothing happens, and how long it takes to be ready; against bare Node
// that has connected the client and serves hono.
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { backlogOf } from "../backlog.ts";
import type { Bench, Contest } from "../measure.ts";
import { atMost, atMostMore } from "../row.ts";
import { type Served, serve } from "../workers.ts";

const root = resolve(import.meta.dirname, "../..");
const handlers = 50;
const restMs = 6_000; // until what the start has left behind is gone
const quickRestMs = 500;

export function idleContests(bench: Bench): Contest[] {
  const ways = { ours: "node", reference: "bare" };
  const name = `idle, ${handlers} handlers`;
  return [
    {
      rows: [
        { name: `${name}: memory`, ...ways, measure: "rssMb", unit: "MB", goal: atMost(1.5) },
        {
          name: `${name}: start to ready`,
          ...ways,
          measure: "readyMs",
          unit: "ms",
          goal: atMostMore(500),
        },
      ],
      async measure(way) {
        const none = backlogOf({ events: 0, keys: 1, types: 1 });
        await using server = await bench.stores.start(none, "default");
        const folder = await mkdtemp(join(tmpdir(), "eddy-bench-"));
        if (way === "node") await prepare(folder);
        const began = performance.now();
        await using started = await (way === "node"
          ? startNode(server.url, folder)
          : bench.workers.serve("http-bare", { url: server.url }));
        if (way === "node") await untilReady(started);
        const readyMs = performance.now() - began;
        await sleep(bench.quick ? quickRestMs : restMs);
        const rssMb = (await memoryOf(started.pid)) / 2 ** 20;
        await rm(folder, { recursive: true });
        return { readyMs, rssMb };
      },
    },
  ];
}

/** The built runtime, as the container runs it. Its first log line says where it listens. */
async function startNode(url: string, folder: string): Promise<Served> {
  build();
  return await serve({
    file: join(root, "dist/cli/eddy.js"),
    args: ["start"],
    env: {
      EDDY_NATS_SERVERS: url,
      EDDY_HANDLERS: folder,
      EDDY_HTTP_PORT: "0",
      EDDY_HTTP_HOST: "127.0.0.1",
      EDDY_LOG_FORMAT: "json",
    },
  });
}

let built = false;

function build(): void {
  if (built) return;
  const { status } = spawnSync(process.execPath, ["--import", "tsx", "runtime/build.ts"], {
    cwd: root,
    stdio: "ignore",
  });
  if (status !== 0) throw new Error("npm run build has failed");
  built = true;
}

async function prepare(folder: string): Promise<void> {
  build(); // before anything is timed
  await mkdir(folder, { recursive: true });
  for (let n = 0; n < handlers; n++) {
    await writeFile(
      join(folder, `handler${n}.ts`),
      `import { event, on, Type } from "eddyline";
const Measured = event("com.acme.measured.t${n}", Type.Object({ n: Type.Integer() }));
export const handler${n} = on(Measured, () => {});
`,
    );
  }
}

async function untilReady({ said }: Served): Promise<void> {
  const url = /http:\/\/[\d.]+:\d+/.exec(said)?.[0];
  if (url === undefined) throw new Error(`the node did not say where it listens: ${said}`);
  for (const deadline = performance.now() + 30_000; performance.now() < deadline; ) {
    const { status } = await fetch(`${url}/readyz`);
    if (status === 200) return;
    await sleep(5);
  }
  throw new Error("the node was not ready within 30 s");
}

/** Resident bytes of a process and of those that it has started: a compiler counts. */
async function memoryOf(pid: number): Promise<number> {
  const children = await childrenOf(pid);
  const own = /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, "utf8"));
  const below = await Promise.all(children.map((child) => memoryOf(child).catch(noneOfAGoneOne)));
  return below.reduce((sum, bytes) => sum + bytes, Number(own?.[1] ?? 0) * 1_024);
}

/** A compiler may end between the look at /proc and this. */
function noneOfAGoneOne(error: NodeJS.ErrnoException): number {
  if (error.code !== "ENOENT" && error.code !== "ESRCH") throw error;
  return 0;
}

async function childrenOf(pid: number): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    if (/\) \S (\d+)/.exec(stat)?.[1] === String(pid)) found.push(Number(name));
  }
  return found;
}
