// Starts and stops a local nats-server as a child, for `eddy dev` and for tests.
// S1 Ready means that it accepts clients: it has written its ports file.
// S2 One server a store: nats-server itself lets a second one in, and they overwrite each other.
// S3 It ends with this process, however that ends (not on Windows after a kill: there is no sh).
// S4 Ctrl-C does not reach it: who started it drains first and stops it last.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { EddyError } from "../../events/index.ts";
import { whoListens } from "./greeting.ts";
import { judgeServerVersion } from "./versions.ts";

export type LocalServerOptions = {
  readonly binary: string;
  /** A config file of nats-server; it leaves port, store and ports file to this. */
  readonly config: string;
  readonly storeDir: string;
  /** -1 takes any free port. */
  readonly port: number;
  readonly onLog?: (line: string) => void;
};

export type ServerExit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

export type LocalServer = {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<ServerExit>;
  /** Ends it, and resolves when it is gone; the store stays. */
  stop(signal?: NodeJS.Signals): Promise<void>;
};

/** A large store takes a while to recover. */
const readyTimeoutMs = 60_000;
const readyPollMs = 4;
const stopTimeoutMs = 10_000;
const lastWordsMax = 8;

export async function startLocalServer(options: LocalServerOptions): Promise<LocalServer> {
  await mkdir(options.storeDir, { recursive: true });
  await refuseSharedStore(options.storeDir);
  if (options.port > 0) await refuseTakenPort(options.port);
  const process = launch(options);
  const url = await ready(process, options);
  const { pid, exited } = process;
  return {
    url,
    port: Number(new URL(url).port),
    pid,
    exited,
    stop: (signal = "SIGTERM") => stop(process, signal),
  };
}

type ServerProcess = {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<ServerExit>;
  readonly lastWords: string[];
};

function launch(options: LocalServerOptions): ServerProcess {
  const { binary, config, storeDir, port } = options;
  const child = spawn(
    binary,
    ["-c", config, "-p", String(port), "-sd", storeDir, "--ports_file_dir", storeDir],
    {
      stdio: ["ignore", "ignore", "pipe"],
      detached: process.platform !== "win32", // S4: a process group of its own
      windowsHide: true,
    },
  );
  const lastWords: string[] = [];
  createInterface(child.stderr).on("line", (line) => {
    options.onLog?.(line);
    if (/\[(FTL|ERR|WRN)\]|^nats-server: /.test(line)) lastWords.push(line);
    if (lastWords.length > lastWordsMax) lastWords.shift();
  });
  const guard = child.pid === undefined ? undefined : endWithUs(child.pid);
  const exited = new Promise<ServerExit>((resolve) => {
    child.once("error", (error) => {
      lastWords.push(error.message);
      resolve({ code: null, signal: null });
    });
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  void exited.then(() => guard?.kill("SIGKILL"));
  return { child, pid: child.pid ?? -1, exited, lastWords };
}

// S3: a shell that waits for the end of a pipe which only this process holds. It costs 1 MB and 1 ms.
function endWithUs(pid: number): ChildProcess | undefined {
  if (process.platform === "win32") return undefined;
  const script = 'while read -r _; do :; done; kill -TERM "$0" && sleep 3 && kill -KILL "$0"';
  const guard = spawn("sh", ["-c", script, String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guard.on("error", () => {}); // no sh: the server still ends on every orderly way out
  guard.unref();
  (guard.stdin as Socket).unref();
  return guard;
}

async function ready(server: ServerProcess, options: LocalServerOptions): Promise<string> {
  let exit: ServerExit | undefined;
  void server.exited.then((value) => {
    exit = value;
  });
  for (const deadline = Date.now() + readyTimeoutMs; Date.now() < deadline; ) {
    if (exit !== undefined) throw failed(server, options, describeExit(exit));
    for (const running of await portsFiles(options.storeDir)) {
      if (running.pid === server.pid && running.url !== undefined) return running.url;
    }
    await sleep(readyPollMs);
  }
  await stop(server, "SIGKILL");
  throw failed(server, options, `did not accept clients within ${readyTimeoutMs / 1000} s`);
}

async function stop(server: ServerProcess, signal: NodeJS.Signals): Promise<void> {
  server.child.kill(signal);
  const impatience = setTimeout(() => server.child.kill("SIGKILL"), stopTimeoutMs);
  await server.exited;
  clearTimeout(impatience);
}

function describeExit({ code, signal }: ServerExit): string {
  if (code === null && signal === null) return "could not be started";
  return signal === null ? `ended with code ${code} before it was ready` : `was ended by ${signal}`;
}

function failed(server: ServerProcess, options: LocalServerOptions, what: string): EddyError {
  const words = server.lastWords.map((line) => `\n  ${line}`).join("");
  return new EddyError(
    "EDDY_NATS_SERVER_FAILED",
    `the local nats-server (${options.binary}, config ${options.config}, store ${options.storeDir}) ${what}.` +
      (words === "" ? " It said nothing about why." : ` Its last words:${words}`),
    { binary: options.binary, config: options.config, store: options.storeDir },
  );
}

async function refuseTakenPort(port: number): Promise<void> {
  const listener = await whoListens(port);
  if (listener.kind === "nothing") return;
  const facts = { port };
  if (listener.kind === "stranger") {
    throw new EddyError(
      "EDDY_PORT_TAKEN",
      `port ${port} on 127.0.0.1 is taken, by something that is not a nats-server. Stop it, or choose another port.`,
      facts,
    );
  }
  const judged = judgeServerVersion(listener.version);
  throw new EddyError(
    "EDDY_PORT_TAKEN",
    `port ${port} on 127.0.0.1 is taken by nats-server ${listener.version} (named ${listener.name}). ` +
      "Stop it, or choose another port for the local server." +
      (judged.kind === "refused" ? ` It could not be used either: ${judged.message}` : ""),
    { ...facts, version: listener.version },
  );
}

// S2. Pids are reused after a reboot, so the file alone proves nothing: a server must answer there.
async function refuseSharedStore(storeDir: string): Promise<void> {
  for (const { file, pid, url } of await portsFiles(storeDir)) {
    const listener = url === undefined ? undefined : await whoListens(Number(new URL(url).port));
    if (listener?.kind !== "nats") {
      await rm(file, { force: true });
      continue;
    }
    throw new EddyError(
      "EDDY_STORE_LOCKED",
      `the store ${storeDir} is in use by another nats-server (pid ${pid}, ${url}): two on one store would ` +
        "destroy it. Is another `eddy dev` running? Stop it, or use another folder.",
      { store: storeDir, pid, url },
    );
  }
}

type PortsFile = { readonly file: string; readonly pid: number; readonly url: string | undefined };

/** The ports files in a store: `<executable>_<pid>.ports`, removed by the server when it stops well. */
async function portsFiles(storeDir: string): Promise<PortsFile[]> {
  const names = (await readdir(storeDir)).filter((name) => name.endsWith(".ports"));
  return Promise.all(
    names.map(async (name) => {
      const file = join(storeDir, name);
      const pid = Number(/_(\d+)\.ports$/.exec(name)?.[1]);
      const text = await readFile(file, "utf8").catch(() => "");
      return { file, pid, url: /"(nats:\/\/[^"]+)"/.exec(text)?.[1] };
    }),
  );
}
