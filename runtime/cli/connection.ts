// The connection of a command that looks at a running system: which server, and what to do where none answers.
import { type Broker, connectBroker } from "../broker/index.ts";
import { EddyError } from "../events/index.ts";
import { type Config, loadConfig } from "../host/index.ts";
import { readDevFile } from "./dev-file.ts";
import type { ServerOptions } from "./options.ts";

/** What `--server` or EDDY_NATS_SERVERS says, else the `eddy dev` of this folder, else the configuration. */
function configOf({ config, server }: ServerOptions, env = process.env): Config {
  const named = server === undefined ? env : { ...env, EDDY_NATS_SERVERS: server };
  const loaded = loadConfig({ file: config, env: named });
  const dev = named.EDDY_NATS_SERVERS ? undefined : readDevFile();
  if (dev === undefined) return loaded;
  return { ...loaded, nats: { ...loaded.nats, servers: [dev.nats] } };
}

/** Connects, does the work, and closes, whatever happens. */
export async function withBroker<Result>(
  options: ServerOptions,
  work: (broker: Broker, config: Config) => Promise<Result>,
): Promise<Result> {
  const config = configOf(options);
  const broker = await connected(config);
  try {
    return await work(broker, config);
  } finally {
    await broker.close();
  }
}

async function connected({ app, home, state, nats, objects }: Config): Promise<Broker> {
  try {
    const names = { app, home: home.stream, state: state.stream, objects };
    const broker = await connectBroker({ ...nats, name: nats.name ?? `eddy cli ${app}` }, names);
    if (broker.warning !== undefined) process.stderr.write(`warning: ${broker.warning}\n`);
    return broker;
  } catch (error) {
    if (!(error instanceof EddyError) || error.code !== "EDDY_NOT_CONNECTED") throw error;
    const hint = "For a local server: eddy dev. For another one: --server or EDDY_NATS_SERVERS";
    throw new EddyError(error.code, `${error.message} ${hint}`, error.facts, { cause: error });
  }
}
