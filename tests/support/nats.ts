// A real nats-server for a test, in one line: `await using nats = await startNats();`
// N1 Own free port, own store, own config.   N2 All of it is gone at the scope's end, and also when the
// test's process is killed.   N3 stop, kill and restart keep port and store.
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection, type NodeConnectionOptions } from "nats";
import {
  findNatsServer,
  type LocalServer,
  startLocalServer,
} from "../../runtime/broker/local/index.ts";
import { guardFolder } from "./guard.ts";

export type NatsOptions = {
  /** `always` (as in production) gives a PubAck after the disk has it; `default` is the server's. */
  readonly sync?: "always" | "default";
  readonly maxPayload?: number;
  /** Where it stores; by default a folder that is gone with it. */
  readonly storeDir?: string;
  /** More lines of nats-server config: users, TLS, a leaf node. */
  readonly config?: string;
};

export type TestNats = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  /** Of the server that runs now, or ran last. */
  readonly pid: number;
  readonly storeDir: string;
  /** Closed with the server's scope. */
  connect(options?: Omit<NodeConnectionOptions, "servers" | "port">): Promise<NatsConnection>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  kill(): Promise<void>;
  restart(): Promise<void>;
};

export async function startNats(options: NatsOptions = {}): Promise<TestNats> {
  const folder = await mkdtemp(join(tmpdir(), "eddy-nats-"));
  const remove = guardFolder(folder);
  const config = join(folder, "nats.conf");
  const storeDir = options.storeDir ?? join(folder, "store");
  await writeFile(config, configText(options));
  const start = async (port: number) =>
    startLocalServer({ binary: await binary(), config, storeDir, port });
  let server: LocalServer;
  try {
    server = await start(-1);
  } catch (error) {
    await remove();
    throw error;
  }
  const { url, port } = server;
  const connections: NatsConnection[] = [];
  return {
    url,
    port,
    storeDir,
    get pid() {
      return server.pid;
    },
    async connect(connectionOptions) {
      const connection = await connect({ ...connectionOptions, servers: url });
      connections.push(connection);
      return connection;
    },
    stop: (signal) => server.stop(signal),
    kill: () => server.stop("SIGKILL"),
    async restart() {
      await server.stop();
      server = await start(port);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(connections.map((connection) => connection.close()));
      await server.stop("SIGKILL");
      await remove();
    },
  };
}

function configText({ sync = "always", maxPayload, config = "" }: NatsOptions): string {
  const lines = ["server_name: eddyline-test", "host: 127.0.0.1"];
  if (maxPayload !== undefined) lines.push(`max_payload: ${maxPayload}`);
  lines.push(sync === "always" ? "jetstream { sync_interval: always }" : "jetstream {}");
  return `${lines.join("\n")}\n${config}\n`;
}

let search: Promise<string> | undefined;

/** One search a process. Quiet when quick; a fetch is shown. */
function binary(): Promise<string> {
  search ??= findQuietly();
  return search;
}

async function findQuietly(): Promise<string> {
  let show = false;
  const lines: string[] = [];
  const onProgress = (line: string) => (show ? console.error(line) : lines.push(line));
  const slow = setTimeout(() => {
    show = true;
    for (const line of lines) console.error(line);
  }, 1_000);
  try {
    return (await findNatsServer({ onProgress })).path;
  } finally {
    clearTimeout(slow);
  }
}
