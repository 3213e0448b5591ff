// A nats-server for one run, on a store of its own. Gone at the scope's end, with the store.
import { cp, mkdir, mkdtemp, open, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer, startLocalServer } from "../runtime/broker/local/index.ts";
import { guardFolder } from "../tests/support/guard.ts";

/** `default` is the server's own: it flushes every two minutes. `always`: a PubAck means that the disk has it. */
export type Sync = "default" | "always";

export interface BenchServer extends AsyncDisposable {
  readonly url: string;
  readonly storeDir: string;
  /** Ends it in good order; the store stays until the scope's end. */
  stop(): Promise<void>;
}

let found: ReturnType<typeof findNatsServer> | undefined;

/** `from`: a store to start with, of a server that was stopped. It is copied. */
export async function startServer(options: { sync: Sync; from?: string }): Promise<BenchServer> {
  const folder = await mkdtemp(join(tmpdir(), "eddy-bench-"));
  const remove = guardFolder(folder);
  const config = join(folder, "nats.conf");
  const storeDir = join(folder, "store");
  const jetstream =
    options.sync === "always" ? "jetstream { sync_interval: always }" : "jetstream {}";
  await writeFile(config, `server_name: bench\nhost: 127.0.0.1\n${jetstream}\n`);
  if (options.from !== undefined) await copyStore(options.from, storeDir);
  found ??= findNatsServer({ onProgress: (line) => console.error(line) });
  const { path: binary } = await found;
  const server = await startLocalServer({ binary, config, storeDir, port: -1 });
  return {
    url: server.url,
    storeDir,
    stop: () => server.stop(),
    async [Symbol.asyncDispose]() {
      await server.stop("SIGKILL");
      await remove();
    },
  };
}

/** Flushes what it copies: pages that wait for the disk would be written in the middle of what is measured. */
async function copyStore(from: string, to: string): Promise<void> {
  await mkdir(to);
  await cp(from, to, { recursive: true });
  for (const entry of await readdir(to, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = await open(join(entry.parentPath, entry.name), "r+");
    await file.sync();
    await file.close();
  }
}
