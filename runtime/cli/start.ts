// `eddy start`: the runtime as in production. Logs to standard output; SIGTERM and Ctrl-C drain.
import { resolve } from "node:path";
import { Command } from "commander";
import { configWarnings, loadConfig, startNode } from "../host/index.ts";
import { createLogger } from "../observe/index.ts";
import { type ConfigOption, withConfig, withExamples } from "./options.ts";
import { aborted, endSoon, untilStopped } from "./signals.ts";

export function startCommand(): Command {
  return withExamples(withConfig(new Command("start")), [
    ["eddy start", "with config/eddy.yaml and EDDY_… variables"],
    ["EDDY_NATS_SERVERS=tls://nats:4222 eddy start", "against another server"],
  ])
    .addHelpText(
      "after",
      "\nSIGTERM and Ctrl-C: events in flight are finished (config: drain). Twice: at once.",
    )
    .action(start);
}

async function start({ config: file }: ConfigOption): Promise<void> {
  const config = loadConfig({ file, env: process.env });
  const log = createLogger(config.log);
  for (const warning of configWarnings(process.env)) log.warn(warning);
  const stop = untilStopped();
  const node = await startNode(config, { log });
  try {
    log.info(`http on ${node.url}, handlers in ${resolve(config.handlers)}`);
    await Promise.race([aborted(stop), node.started.then(() => aborted(stop))]);
    log.info(`stopping: events in flight have ${config.drainMs} ms`);
  } finally {
    await node.drain();
    endSoon();
  }
}
