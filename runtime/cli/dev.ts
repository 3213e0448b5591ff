// `eddy dev`: everything on this machine until Ctrl-C: a nats-server with its store in .eddy/nats, the runtime, hot
// reload. D1 Where EDDY_NATS_SERVERS is set that server is used and none is started.
// D2 The runtime drains before its server is stopped.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { type Config, configWarnings, loadConfig, startNode } from "../host/index.ts";
import { createLogger } from "../observe/index.ts";
import { removeDevFile, writeDevFile } from "./dev-file.ts";
import { type DevServer, devStore, startDevServer } from "./dev-server.ts";
import { type ConfigOption, withConfig, withExamples } from "./options.ts";
import { print } from "./output.ts";
import { aborted, endSoon, untilStopped } from "./signals.ts";

export function devCommand(): Command {
  return withExamples(withConfig(new Command("dev")), [
    ["eddy dev", "nats-server on 127.0.0.1:4222, HTTP on 127.0.0.1:8080"],
    ["EDDY_HANDLERS=../shop eddy dev", "with another handlers folder"],
    ["EDDY_NATS_SERVERS=nats://nats:4222 eddy dev", "with a server that runs already"],
  ]).action(dev);
}

async function dev({ config: file }: ConfigOption): Promise<void> {
  const configured = loadConfig({ file, env: process.env });
  const { level, format } = configured.log;
  const log = createLogger({ level, format: format === "auto" ? "pretty" : format });
  for (const warning of configWarnings(process.env)) log.warn(warning);
  const stop = untilStopped();
  await using server = process.env.EDDY_NATS_SERVERS ? undefined : await startDevServer(log);
  const config = server === undefined ? configured : withServer(configured, server);
  const node = await startNode(config, { log, handledAt: "info" });
  try {
    const [nats = ""] = config.nats.servers;
    writeDevFile({ nats, http: node.url, pid: process.pid });
    await Promise.race([aborted(stop), node.started]);
    if (!stop.aborted) print(welcome(config, node.url, server));
    await aborted(stop);
    log.info(`stopping: events in flight have ${config.drainMs} ms (Ctrl-C again: at once)`);
  } finally {
    removeDevFile();
    await node.drain();
    endSoon();
  }
}

function withServer(config: Config, { url }: DevServer): Config {
  return { ...config, nats: { servers: [url], timeoutMs: config.nats.timeoutMs } };
}

function welcome(config: Config, http: string, server: DevServer | undefined): string {
  const store = server === undefined ? "of that server" : resolve(devStore);
  return `
  Eddyline runs.
    nats      ${config.nats.servers.join(", ")}
    store     ${store}
    http      ${http}
    handlers  ${resolve(config.handlers)} (save a file: it is live)

  Try, in another terminal of this folder:
    npx eddy tail
    npx eddy emit ${exampleEvent(config.handlers)}
    npx eddy handlers
    curl ${http}/projections

  Ctrl-C stops it; the store stays. To begin anew, delete ${devStore}.
`;
}

/** One that the shipped handlers react to, else one for what `eddy init` made. */
function exampleEvent(handlers: string): string {
  return existsSync(join(handlers, "orders"))
    ? `com.acme.order.placed '{"orderId":"o-1","customerId":"c-1","sku":"canoe","quantity":1,"totalCents":129900}'`
    : `com.example.visitor.arrived '{"name":"Ada"}'`;
}
