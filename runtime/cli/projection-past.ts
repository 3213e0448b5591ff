// `eddy projection get --at` and `--history`, and `eddy projection diff`: the past of a projection, folded anew from the log with the
// code of the handlers folder. Needs no node.
import { Command } from "commander";
import { positionText } from "../events/index.ts";
import { loadModules } from "../modules/index.ts";
import { printable } from "../observe/index.ts";
import { parseWhen } from "../pipeline/index.ts";
import { openPast, type Past } from "../projections/index.ts";
import { withBroker } from "./connection.ts";
import { notFound, usage } from "./exits.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { brief, print, printJson, table } from "./output.ts";
import { endSoon } from "./signals.ts";

export interface FolderOption {
  readonly handlers?: string;
}

export interface PastOptions extends ServerOptions, JsonOption, FolderOption {
  readonly limit: string;
  readonly at?: string;
  readonly history?: true;
}

const momentHelp = "a time (2026-11-27T10:00:00Z), a duration back (10m) or a position (EVENTS:7)";
const limitMax = 10_000;
const endless = new AbortController().signal; // Ctrl-C ends the process

/** For commands that need the code of a projection. */
function withFolder(command: Command): Command {
  return command.option("--handlers <dir>", "handlers folder (default: handlers of the config)");
}

/** Options of `get` that ask for the past. */
export function withPast(command: Command): Command {
  return withFolder(
    command
      .option("--at <when>", `the entry as it was then: ${momentHelp}`)
      .option("--history", "the events of the entry, and what each did to it"),
  );
}

export function diffCommand(): Command {
  const command = withFolder(withJson(withServer(new Command("diff"))))
    .description("print what changed between two moments")
    .argument("<name>", "the projection")
    .requiredOption("--from <when>", momentHelp)
    .option("--to <when>", "the same (default: now)", "0ms")
    .option("--limit <n>", "most entries to print", "100")
    .option("--after <key>", "only keys behind this one");
  return withExamples(command, [
    ["eddy projection diff customers --from 10m", "what the last ten minutes changed"],
    ["eddy projection diff customers --from EVENTS:7 --to EVENTS:9", "what two events did"],
  ]).action(diff);
}

/** Answers `get` where it asks for the past. */
export async function getPast(name: string, key: string | undefined, options: PastOptions) {
  const { at, history, limit } = options;
  const asked = history ? "--history" : "--at";
  if (key === undefined) throw usage(`${asked} needs the key of an entry`);
  if (at === undefined) return await showHistory(name, key, limitOf(limit), options);
  if (history) throw usage("ask for --at or for --history, not for both");
  return await showThen(name, key, at, options);
}

async function showThen(name: string, key: string, at: string, options: PastOptions) {
  const then = await withThePast(options, (past) =>
    past.at(name, key, momentIn(past, name, "--at", at), endless),
  );
  const position = positionText(then.at);
  const { value, present, by } = then;
  if (present) process.stderr.write(`${position} is the end of the log: this is the present\n`);
  if (value !== undefined)
    return printJson(options.json ? { key, value, position, present, by } : value);
  const why = by === undefined ? "no event had made one" : `${by} had removed it`;
  throw notFound(`projection ${name} had no entry ${JSON.stringify(key)} at ${position}: ${why}`);
}

async function showHistory(name: string, key: string, limit: number, options: PastOptions) {
  const found = await withThePast(options, (past) => past.history(name, key, limit, endless));
  const { rows, older } = found;
  const position = positionText(found.at);
  if (options.json) return printJson({ key, position, older, events: rows });
  if (rows.length === 0)
    throw notFound(`no event up to ${position} is for the entry ${JSON.stringify(key)} of ${name}`);
  if (older > 0) print(`… ${older} older events: --limit ${Math.min(limit + older, limitMax)}`);
  print(
    table(
      ["POSITION", "STORED", "TYPE", "SOURCE", "ID", "WHAT", "VALUE"],
      rows.map((row) => {
        const { stored, type, source, id, what, value, note } = row;
        const shown = value === undefined ? (note ?? "") : brief(value, 150);
        return [row.position, stored, type, source, id, what, shown];
      }),
    ),
  );
}

interface DiffOptions extends ServerOptions, JsonOption, FolderOption {
  readonly from: string;
  readonly to: string;
  readonly limit: string;
  readonly after?: string;
}

async function diff(name: string, options: DiffOptions): Promise<void> {
  const { after, json } = options;
  const page = { limit: limitOf(options.limit), ...(after === undefined ? {} : { after }) };
  const found = await withThePast(options, async (past) => {
    const from = momentIn(past, name, "--from", options.from);
    return await past.between(name, from, momentIn(past, name, "--to", options.to), page, endless);
  });
  const [from, to] = [positionText(found.from), positionText(found.to)];
  if (json) return printJson({ ...found, from, to });
  const { added, removed, changed, changes, next } = found;
  print(`${from} to ${to}: ${added} added, ${removed} removed, ${changed} changed`);
  for (const { key, kind, before, after: now } of changes) {
    print(`${signs[kind]} ${printable(key)}`);
    if (before !== undefined) print(`    was ${brief(before, 200)}`);
    if (now !== undefined) print(`    is  ${brief(now, 200)}`);
  }
  if (next !== undefined)
    print(`… more: --from ${from} --to ${to} --after ${printable(JSON.stringify(next))}`);
}

const signs = { added: "+", removed: "-", changed: "~" } as const;

function momentIn(past: Past, name: string, option: string, text: string) {
  const when = parseWhen(text, past.streams(name), Date.now());
  if (typeof when === "string") throw usage(`${option} ${when}`);
  return when;
}

function limitOf(text: string): number {
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= limitMax) return limit;
  throw usage(`--limit must be a whole number from 1 to ${limitMax}, got ${JSON.stringify(text)}`);
}

function withThePast<T>(
  options: ServerOptions & FolderOption,
  work: (past: Past) => Promise<T>,
): Promise<T> {
  return withBroker(options, async (broker, config) => {
    const { handlers, failures } = await loadModules(options.handlers ?? config.handlers);
    for (const { code, file, message } of failures)
      process.stderr.write(`warning: ${code}  ${printable(`${file}: ${message}`)}\n`);
    const runs = { deadlineMs: config.deadlineMs, readEntry: async () => ({ value: undefined }) };
    return await work(openPast({ broker, runs, handlers: () => handlers }, 1));
  }).finally(endSoon);
}
