// The nats-server of `eddy dev`: on 4222, or on a free port where that is taken. One that dies is started again.
import { fileURLToPath } from "node:url";
import { findNatsServer, type LocalServer, startLocalServer } from "../broker/local/index.ts";
import { EddyError } from "../events/index.ts";
import type { Logger } from "../observe/index.ts";

export const devStore = ".eddy/nats";

const usualPort = 4222;
const config = fileURLToPath(new URL("../../config/nats/dev.conf", import.meta.url));

export interface DevServer extends AsyncDisposable {
  readonly url: string;
}

export async function startDevServer(log: Logger): Promise<DevServer> {
  const { path: binary } = await findNatsServer({ onProgress: (line) => log.info(line) });
  let server = await startOnFreePort(binary, log);
  let stopping = false;
  const keepAlive = async () => {
    while (true) {
      const { code, signal } = await server.exited;
      if (stopping) return;
      log.error(`nats-server has ended (${signal ?? `code ${code}`}): starting it again`);
      server = await start(binary, server.port, log);
    }
  };
  void keepAlive().catch((error) => {
    log.error(`nats-server cannot be started again: ${error.message}`);
  });
  return {
    url: server.url,
    async [Symbol.asyncDispose]() {
      stopping = true;
      await server.stop();
    },
  };
}

async function startOnFreePort(binary: string, log: Logger): Promise<LocalServer> {
  try {
    return await start(binary, usualPort, log);
  } catch (error) {
    if (!(error instanceof EddyError) || error.code !== "EDDY_PORT_TAKEN") throw error;
    const server = await start(binary, -1, log);
    log.warn(`port ${usualPort} is taken, so this nats-server listens on ${server.port}`);
    return server;
  }
}

function start(binary: string, port: number, log: Logger): Promise<LocalServer> {
  const onLog = (line: string) => {
    if (/\[(?:WRN|ERR|FTL)\]/.test(line)) log.warn(`nats-server: ${line}`);
  };
  return startLocalServer({ binary, config, storeDir: devStore, port, onLog });
}
