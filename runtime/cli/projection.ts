// `eddy projection`: which projections there are, their entries, and how they change.
import { Command } from "commander";
import { EddyError } from "../events/index.ts";
import { printable } from "../observe/index.ts";
import { openProjectionReader, type ProjectionReader } from "../projections/index.ts";
import { withBroker } from "./connection.ts";
import { notFound } from "./exits.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { brief, print, printJson, printJsonLine, table } from "./output.ts";
import { type PageOptions, printPage, queryOf } from "./projection-page.ts";
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
    "list projections, how many entries each has, and how far it has come in each of its streams",
  );
  return withExamples(command, [["eddy projection list", "all of them"]]).action(list);
}

async function list(options: Options): Promise<void> {
  const all = await withReader(options, (reader) => reader.list());
  if (options.json) return printJson(all);
  if (all.length === 0) return print("No projection has run on this server yet.");
  print(
    table(
      ["NAME", "ENTRIES", "POSITIONS"],
      all.map(({ name, entries, positions }) => [name, entries, positions.join(" ")]),
    ),
  );
}

function getCommand(): Command {
  const command = withPast(projectionSubcommand("get"))
    .description("print an entry, or the keys of a projection")
    .argument("<name>", "the projection")
    .argument("[key]", "the entry")
    .option(
      "--where <index=value>",
      "only entries with this value in an index; repeatable",
      all,
      [],
    )
    .option("--prefix <text>", "only keys that begin so")
    .option("--limit <n>", "most keys, or events of a history, to print", "100")
    .option("--after <key>", "only keys behind this one")
    .option("--values", "print the entries' values as well");
  return withExamples(command, [
    ["eddy projection get customers", "its keys"],
    ["eddy projection get customers c-7", "one entry"],
    ["eddy projection get customers --where city=Bern --values", "entries by an index"],
    ["eddy projection get customers c-7 --at 10m", "as it was ten minutes ago"],
    ["eddy projection get customers c-7 --history", "why it is what it is"],
  ]).action(get);
}

const all = (text: string, before: readonly string[]) => [...before, text];

type GetOptions = PastOptions & PageOptions;

async function get(name: string, key: string | undefined, options: GetOptions): Promise<void> {
  if (options.at !== undefined || options.history) return getPast(name, key, options);
  if (key === undefined) {
    const query = queryOf(options);
    const known = await withReader(options, (reader) => printPage(reader, name, query, options));
    if (!known) throw noProjection(name);
    return;
  }
  const entry = await withReader(options, async (reader) => {
    const found = await reader.get(name, key);
    if (found === undefined && !(await reader.keys(name, { limit: 1 }))) throw noProjection(name);
    return found;
  });
  if (entry === undefined) throw notFound(`projection ${name} has no entry ${JSON.stringify(key)}`);
  const { value, revision, time } = entry;
  printJson(options.json ? { key, value, revision, time } : value);
}

function watchCommand(): Command {
  const command = projectionSubcommand("watch")
    .description("print entries as they change, until Ctrl-C")
    .argument("<name>", "the projection")
    .argument("[key]", "only this entry")
    .option("--prefix <text>", "only entries whose key begins so");
  return withExamples(command, [
    ["eddy projection watch customers", "every change"],
    ["eddy projection watch customers c-7 --json", "one entry, a JSON object a line"],
  ]).action(watch);
}

async function watch(
  name: string,
  key: string | undefined,
  { prefix, ...options }: Options & { readonly prefix?: string },
): Promise<void> {
  await withReader(options, async (reader) => {
    const signal = untilStopped();
    for await (const change of await reader.watch(name, {
      signal,
      ...(key === undefined ? {} : { key }),
      ...(prefix === undefined ? {} : { prefix }),
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
