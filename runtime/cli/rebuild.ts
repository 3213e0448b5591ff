// `eddy projection rebuild`: asks the node that holds the projection, and shows how far it is. Where no node does, it does
// the work of one itself, with the handlers of a folder.
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import type { Handler } from "../authoring/index.ts";
import type { Broker } from "../broker/index.ts";
import { type Config, startPipelineAlone } from "../host/index.ts";
import { loadModules, showPath } from "../modules/index.ts";
import { counted, printable } from "../observe/index.ts";
import {
  askForRebuild,
  type Pipeline,
  type RebuildProgress,
  type Rebuilt,
  rebuildFrom,
} from "../pipeline/index.ts";
import { withBroker } from "./connection.ts";
import { notFound } from "./exits.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { print, printJson } from "./output.ts";
import { untilStopped } from "./signals.ts";

interface Options extends ServerOptions, JsonOption {
  readonly from?: string;
  readonly handlers?: string;
}

export function rebuildCommand(): Command {
  const command = withJson(withServer(new Command("rebuild")))
    .description("fold the entries of a projection anew, while it goes on")
    .argument("<name>", "the projection")
    .option("--from <where>", "only events from a position (EVENTS:7) or a time on")
    .option("--handlers <dir>", "where no node runs it: the folder with its handler");
  return withExamples(command, [
    ["eddy projection rebuild customers", "from the first event on, or the compacted home"],
    [
      "eddy projection rebuild customers --from EVENTS:7",
      "entries that nothing from there on touches stay",
    ],
  ]).action(rebuild);
}

async function rebuild(name: string, options: Options): Promise<void> {
  const progress = showProgress();
  const rebuilt = await withBroker(options, async (broker, config) => {
    rebuildFrom(options.from, broker.home); // refused before anybody is asked
    const asked = {
      signal: untilStopped(),
      onProgress: progress.show,
      ...(options.from === undefined ? {} : { from: options.from }),
    };
    const answer = await askForRebuild(broker, name, asked);
    return answer ?? (await alone(broker, config, name, options, asked));
  }).finally(progress.end);
  if (options.json) return printJson(rebuilt);
  print(summary(name, rebuilt));
  if (rebuilt.compacted !== undefined) print(compactedText(rebuilt.compacted));
}

function summary(name: string, { events, entries, changed, ms }: Rebuilt): string {
  const seconds = (ms / 1_000).toFixed(1);
  return `${printable(name)}: ${counted(events, "event")} folded into ${entries} keys in ${seconds} s; ${changed} of its entries have changed`;
}

function compactedText(events: number): string {
  return `the head of the log is gone: it began with the compacted home (${counted(events, "event")} of it), and entries that nothing there touches stay as they were`;
}

async function alone(
  broker: Broker,
  config: Config,
  name: string,
  options: Options,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (progress: RebuildProgress) => void },
): Promise<Rebuilt> {
  const folder = resolve(options.handlers ?? config.handlers);
  const handler = await handlerIn(folder, name);
  const from = rebuildFrom(options.from, broker.home);
  const pipeline = await startPipelineAlone(config, broker, (fact) => {
    if (fact.kind === "trouble") process.stderr.write(`${fact.code}  ${printable(fact.message)}\n`);
  });
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= pipeline.stop(config.drainMs);
    return stopping;
  };
  signal.addEventListener("abort", () => void stop());
  try {
    await pipeline.apply([handler]);
    await untilRunning(pipeline, signal);
    return await pipeline.rebuild(name, { onProgress, ...(from === undefined ? {} : { from }) });
  } finally {
    await stop();
  }
}

async function handlerIn(folder: string, name: string): Promise<Handler> {
  const { handlers, failures } = await loadModules(folder);
  const found = handlers.find((h) => h.name === name && h.declaration.kind === "projection");
  if (found !== undefined) return found;
  const [failure] = failures;
  const why = failure === undefined ? "" : ` (${failure.code}: ${failure.message})`;
  const text = `no node runs a projection ${JSON.stringify(name.slice(0, 100))}, and there is none in ${showPath(folder)}${why}. Start a node, or give its folder: --handlers DIR. What there is: eddy projection list`;
  throw notFound(text);
}

async function untilRunning(pipeline: Pipeline, signal: AbortSignal): Promise<void> {
  const isRunning = () => pipeline.status().every(({ state }) => state === "running");
  while (!isRunning() && !signal.aborted) await sleep(50);
}

const everyMs = { terminal: 200, file: 5_000 };

function showProgress() {
  const { stderr } = process;
  let shownMs = Number.NEGATIVE_INFINITY;
  let open = false; // a line that is written over
  return {
    show(progress: RebuildProgress): void {
      const now = performance.now();
      if (now - shownMs < (stderr.isTTY ? everyMs.terminal : everyMs.file)) return;
      shownMs = now;
      stderr.write(stderr.isTTY ? `\r\u001b[K${lineOf(progress)}` : `${lineOf(progress)}\n`);
      open = stderr.isTTY;
    },
    end(): void {
      if (open) stderr.write("\n");
    },
  };
}

function lineOf({ at, to, events, perSecond, leftMs }: RebuildProgress): string {
  const left = leftMs < 500 ? "taking over" : `${Math.ceil(leftMs / 1_000)} s left`;
  return `read up to ${at} of ${to}: ${counted(events, "event")}, ${Math.round(perSecond)} a second, ${left}`;
}
