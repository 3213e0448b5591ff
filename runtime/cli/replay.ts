// `eddy replay`: a handler's code over events of the past.
import { Command } from "commander";
import type { Handler } from "../authoring/index.ts";
import type { Broker } from "../broker/index.ts";
import type { Config } from "../host/index.ts";
import {
  type FindEntries,
  type ReadEntry,
  type Rerun,
  replay,
  type Span,
  spanOf,
} from "../pipeline/index.ts";
import { findEntries, openEntries, openProjectionReader } from "../projections/index.ts";
import { withBroker } from "./connection.ts";
import { findHandler } from "./find-handler.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { print, printJson } from "./output.ts";
import { showSpanProgress } from "./progress.ts";
import { createDryRun, replayedJson, replayedLines } from "./replay-output.ts";
import { checkComparison, type WayOptions, wayOf } from "./replay-way.ts";
import { endSoon } from "./signals.ts";
import { loadNext, whatIf } from "./what-if.ts";

interface ReplayOptions extends ServerOptions, JsonOption, WayOptions {
  readonly from: string;
  readonly to?: string;
  readonly key?: string;
  readonly handlers?: string;
}

export function replayCommand(): Command {
  const command = withJson(withServer(new Command("replay")))
    .argument("<handler>", "its name in `eddy handlers`")
    .requiredOption("--from <where>", "first, a position such as EVENTS:123 or 123, or a time")
    .option("--to <where>", "now, a position (with it), or a time (before it)")
    .option("--key <key>", "only events of this ordering key; of a projection, of this entry")
    .option("--dry-run", "store nothing, and print what each event leads to")
    .option("--effects", "store a reaction's effects that are missing")
    .option(
      "--into <name>",
      "under this name: with a ledger and, for a projection, a bucket of its own",
    )
    .option("--what-if <path>", "compare with the code in this file or folder; stores nothing")
    .option("--handlers <folder>", "where its code is (default: `handlers` of the configuration)");
  return withExamples(command, [
    ["eddy replay orders/credit.reserveCredit --from first", "runs it, and stores nothing"],
    [
      "eddy replay orders/credit.reserveCredit --from 2026-05-01 --effects",
      "stores what is missing",
    ],
    ["eddy replay customers --from first --into customers2", "a projection, beside the live one"],
    [
      "eddy replay customers --from first --what-if ./customers.ts",
      "what a changed version would do",
    ],
  ]).action(run);
}

async function run(name: string, options: ReplayOptions): Promise<void> {
  if (options.whatIf !== undefined) checkComparison(options);
  await withBroker(options, async (broker, config) => {
    const handler = await findHandler(options.handlers ?? config.handlers, name);
    const { from, to, whatIf: path } = options;
    const next = path === undefined ? undefined : await loadNext(path, handler);
    const versions = next === undefined ? [handler] : [handler, next];
    const span = await spanOf(broker, versions, from, to);
    const parts = await partsOf(broker, config, options);
    if (next !== undefined) await whatIf({ ...parts, live: handler, next, span }, options);
    else await runOver({ ...parts, handler, span }, options);
  });
  endSoon(); // whatever the handler's code has left running
}

async function partsOf(broker: Broker, config: Config, { key }: ReplayOptions) {
  const reader = await openProjectionReader(broker.nc, broker);
  const { deadlineMs } = config;
  const readEntry: ReadEntry = async ({ projection, key }) => ({
    value: (await reader.get(projection, key))?.value,
  });
  const find: FindEntries = (projection, query) => findEntries(reader, projection, query);
  return {
    broker,
    deadlineMs,
    readEntry,
    findEntries: find,
    ...(key === undefined ? {} : { key }),
  };
}

type Parts = Awaited<ReturnType<typeof partsOf>> & {
  readonly handler: Handler;
  readonly span: Span;
};

async function runOver(parts: Parts, options: ReplayOptions): Promise<void> {
  const { broker, handler, span } = parts;
  const way = wayOf(handler.declaration.kind, options);
  const dryRun = options.dryRun === true ? createDryRun(span, options.json === true) : undefined;
  const progress = showSpanProgress();
  const told = await replay({
    ...parts,
    way,
    openEntries: (projection) => openEntries(broker, projection, () => {}),
    onProgress: progress.show,
    onRerun: (rerun: Rerun) => dryRun?.show(rerun),
  }).finally(progress.end);
  if (options.json) return printJson({ ...replayedJson(told), way: way.kind, ...dryRun?.rest() });
  for (const line of replayedLines(told, way)) print(line);
}
