// A runtime as its own process, as a user starts it: `eddy start` with an environment. Gone at the scope's end,
// also when the test is killed.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { guardProcess } from "./guard.ts";
import { launcher } from "./launcher.ts";
import type { TestNats } from "./nats.ts";

export interface NodeOptions {
  readonly nats: Pick<TestNats, "url">;
  /** Path of the handlers folder. */
  readonly handlers: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Wait until it is ready. Default true. */
  readonly ready?: boolean;
}

export interface TestNode extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** Resolves once it is gone, however it ended. */
  readonly ended: Promise<void>;
  /** Everything that it has written, both streams. */
  output(): string;
  readiness(): Promise<{ status: number; body: string }>;
  untilReady(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL; resolves once it is gone. */
  kill(): Promise<void>;
  signal(name: NodeJS.Signals): void;
}

export async function startNode(options: NodeOptions): Promise<TestNode> {
  const port = await freePort();
  const child = spawn(process.execPath, [await launcher(), "start"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      EDDY_NATS_SERVERS: options.nats.url,
      EDDY_HANDLERS: options.handlers,
      EDDY_HTTP_PORT: String(port),
      EDDY_LOG_FORMAT: "json",
      EDDY_LOG_LEVEL: "debug",
      ...options.env,
    },
  });
  const release = guardProcess(child.pid ?? 0);
  child.once("exit", release);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  const node: TestNode = {
    url,
    pid: child.pid ?? 0,
    ended,
    output: () => output,
    async readiness() {
      const response = await fetch(`${url}/readyz`);
      return { status: response.status, body: await response.text() };
    },
    async untilReady() {
      await eventually(
        async () => {
          if (child.exitCode !== null) throw new Error(`the runtime ended:\n${output}`);
          const { status, body } = await node.readiness();
          if (status !== 200) throw new Error(`not ready: ${body}`);
          return true;
        },
        { timeoutMs: 20_000 },
      );
    },
    stop: () => end(child, "SIGTERM"),
    kill: async () => void (await end(child, "SIGKILL")),
    signal: (name) => void child.kill(name),
    [Symbol.asyncDispose]: async () => void (await end(child, "SIGKILL")),
  };
  try {
    if (options.ready !== false) await node.untilReady();
  } catch (error) {
    await node.kill();
    throw error;
  }
  return node;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
  return child.exitCode;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** A folder that is gone with the scope. */
export function temporaryFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "eddyline-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
