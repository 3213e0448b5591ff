// `eddy projection`: which projections there are, their entries, and how they change.
import { Command } from "commander";
import { EddyError } from "../events/index.ts";
import { printable } from "../observe/index.ts";
import { openProjectionReader, type ProjectionReader } from "../projections/index.ts";
import { withBroker } from "./connection.ts";
import { notFound, usage } from "./exits.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { brief, print, printJson, printJsonLine, table } from "./output.ts";
import { diffCommand, getPast, type PastOptions, withPast } from "./projection-past.ts";
import { rebuildCommand } from "./rebuild.ts";
import { untilStopped } from "./signals.ts";

type Options = ServerOptions & JsonOption;

export function projectionCommand(): Command {
  return new Command("projection")
    .addCommand(listCommand())
    .addCommand(getCommand())
    .addCommand(watchCommand())
    .addCommand(diffCommand())
    .addCommand(rebuildCommand());
}

function projectionSubcommand(name: string): Command {
  return withJson(withServer(new Command(name)));
}

function withReader<T>(
  options: Options,
  work: (reader: ProjectionReader) => Promise<T>,
): Promise<T> {
  return withBroker(options, async (broker) => work(await openProjectionReader(broker.nc, broker)));
}

function listCommand(): Command {
  const command = projectionSubcommand("list").description(
    "list projections and how many entries each has",
  );
  return withExamples(command, [["eddy projection list", "all of them"]]).action(list);
}

async function list(options: Options): Promise<void> {
  const all = await withReader(options, (reader) => reader.list());
  if (options.json) return printJson(all.map(({ name, entries }) => ({ name, entries })));
  if (all.length === 0) return print("No projection has run on this server yet.");
  print(
    table(
      ["NAME", "ENTRIES"],
      all.map(({ name, entries }) => [name, entries]),
    ),
  );
}

function getCommand(): Command {
  const command = withPast(projectionSubcommand("get"))
    .description("print an entry, or the keys of a projection")
    .argument("<name>", "the projection")
    .argument("[key]", "the entry")
    .option("--limit <n>", "most keys, or events of a history, to print", "100")
    .option("--after <key>", "only keys behind this one");
  return withExamples(command, [
    ["eddy projection get customers", "its keys"],
    ["eddy projection get customers c-7", "one entry"],
    ["eddy projection get customers c-7 --at 10m", "as it was ten minutes ago"],
    ["eddy projection get customers c-7 --history", "why it is what it is"],
  ]).action(get);
}

interface GetOptions extends PastOptions {
  readonly after?: string;
}

async function get(name: string, key: string | undefined, options: GetOptions): Promise<void> {
  if (options.at !== undefined || options.history) return getPast(name, key, options);
  if (key === undefined) return getKeys(name, options);
  const entry = await withReader(options, async (reader) => {
    const found = await reader.get(name, key);
    if (found === undefined && !(await reader.keys(name, { limit: 1 }))) throw noProjection(name);
    return found;
  });
  if (entry === undefined) throw notFound(`projection ${name} has no entry ${JSON.stringify(key)}`);
  const { value, revision, time } = entry;
  printJson(options.json ? { key, value, revision, time } : value);
}

async function getKeys(name: string, { limit, after, ...options }: GetOptions): Promise<void> {
  const most = Number(limit);
  if (!Number.isInteger(most) || most < 1) {
    throw usage(`--limit must be a whole number from 1 on, got ${JSON.stringify(limit)}`);
  }
  const page = await withReader(options, (reader) => {
    return reader.keys(name, { limit: most, ...(after === undefined ? {} : { after }) });
  });
  if (page === undefined) throw noProjection(name);
  if (options.json) return printJson({ keys: page.keys, next: page.next });
  for (const key of page.keys) print(printable(key));
  if (page.next !== undefined) print(`… more: --after ${printable(JSON.stringify(page.next))}`);
}

function watchCommand(): Command {
  const command = projectionSubcommand("watch")
    .description("print entries as they change, until Ctrl-C")
    .argument("<name>", "the projection")
    .argument("[key]", "only this entry");
  return withExamples(command, [
    ["eddy projection watch customers", "every change"],
    ["eddy projection watch customers c-7 --json", "one entry, a JSON object a line"],
  ]).action(watch);
}

async function watch(name: string, key: string | undefined, options: Options): Promise<void> {
  await withReader(options, async (reader) => {
    const signal = untilStopped();
    for await (const change of await reader.watch(name, {
      signal,
      ...(key === undefined ? {} : { key }),
    })) {
      const { value, revision } = change;
      if (options.json) printJsonLine({ key: change.key, value, revision });
      else print(`${printable(change.key)}  ${value === null ? "(deleted)" : brief(value, 200)}`);
    }
  });
}

function noProjection(name: string) {
  const message = `there is no projection ${JSON.stringify(name)}. See: eddy projection list`;
  return new EddyError("EDDY_PROJECTION_UNKNOWN", message, { projection: name });
}
