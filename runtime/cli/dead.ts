// `eddy dead`: the dead letters, what is known about each, and what an operator does with them.
import { createInterface } from "node:readline/promises";
import { Command } from "commander";
import type { Broker } from "../broker/index.ts";
import { printable } from "../observe/index.ts";
import { discardLetter, listLetters, readLetter, replayLetter } from "../pipeline/index.ts";
import { withBroker } from "./connection.ts";
import { usage } from "./exits.ts";
import { letterItem, letterPage, missingLetter } from "./letters.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { print, printJson, table } from "./output.ts";

export function deadCommand(): Command {
  return new Command("dead")
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(replayCommand())
    .addCommand(discardCommand());
}

function letterCommand(name: string): Command {
  return withJson(withServer(new Command(name)));
}

function listCommand(): Command {
  const command = letterCommand("list")
    .description("list dead letters, oldest first")
    .option("--handler <name>", "only those of this handler");
  return withExamples(command, [
    ["eddy dead list", "what failed, for whom and why"],
    ["eddy dead list --json | jq '.[].error.message'", "the reasons"],
  ]).action(list);
}

type Options = ServerOptions & JsonOption & { readonly handler?: string };

async function list({ handler, ...options }: Options): Promise<void> {
  const letters = await withBroker(options, (broker) => {
    return listLetters(broker, handler === undefined ? {} : { handler });
  });
  if (options.json) return printJson(letters.map(letterItem));
  if (letters.length === 0) return print(noLetters(handler));
  const head = ["LETTER", "LAST", "HANDLER", "REASON", "TYPE", "KEY", "ERROR"];
  const rows = letters.map((letter) => {
    const { handler, reason, type, key, error, last } = letter;
    return [letter.letter, last, handler, reason, type, key, error.message];
  });
  print(table(head, rows));
  print("\nMore: eddy dead show LETTER. When mended: eddy dead replay LETTER");
}

function showCommand(): Command {
  const command = letterCommand("show")
    .description("show all that is known about one dead letter")
    .argument("<letter>", "its number in `eddy dead list`", letterNumber);
  return withExamples(command, [["eddy dead show 12", "error, stack, attempts and event"]]).action(
    show,
  );
}

async function show(number: number, options: ServerOptions & JsonOption): Promise<void> {
  const letter = await withBroker(options, (broker) => readLetter(broker, number));
  if (letter === undefined) throw missingLetter(number);
  const { headers, data, ...rest } = letter;
  const text = Buffer.from(data).toString("utf8");
  const whole = Buffer.from(text, "utf8").equals(data);
  if (!options.json) return print(letterPage(letter, whole ? text : undefined));
  const bytes = whole ? { data: text } : { data_base64: Buffer.from(data).toString("base64") };
  printJson({ ...rest, headers, ...bytes });
}

interface SelectOptions extends Options {
  readonly all?: true;
  readonly yes?: true;
}

function replayCommand(): Command {
  const command = letterCommand("replay")
    .description("give events back to the handlers that failed on them")
    .argument("[letters...]", "numbers from `eddy dead list`", letterNumbers)
    .option("--handler <name>", "all letters of this handler")
    .option("--all", "all letters");
  return withExamples(command, [
    ["eddy dead replay 12 13", "two of them"],
    ["eddy dead replay --handler orders/credit.reserveCredit", "after a fix"],
  ]).action((letters: number[], options: SelectOptions) => settle(letters, options, replayLetter));
}

function discardCommand(): Command {
  const command = letterCommand("discard")
    .description("delete dead letters: these events stay unhandled for ever")
    .argument("[letters...]", "numbers from `eddy dead list`", letterNumbers)
    .option("--handler <name>", "all letters of this handler")
    .option("--all", "all letters")
    .option("--yes", "do not ask");
  return withExamples(command, [
    ["eddy dead discard 12", "this one"],
    ["eddy dead discard --all --yes", "all of them, without a question"],
  ]).action(async (letters: number[], options: SelectOptions) => {
    if (letters.length === 0 && !options.yes) await confirmDiscard(options);
    await settle(letters, options, discardLetter);
  });
}

type Settle = (broker: Broker, letter: number) => Promise<string>;

async function settle(numbers: number[], options: SelectOptions, one: Settle): Promise<void> {
  checkSelection(numbers, options);
  const results = await withBroker(options, async (broker) => {
    const done: { letter: number; result: string }[] = [];
    for (const letter of numbers.length > 0 ? numbers : await selected(broker, options)) {
      done.push({ letter, result: await one(broker, letter) });
    }
    return done;
  });
  if (options.json) printJson(results);
  else if (results.length === 0) print(noLetters(options.handler));
  else for (const { letter, result } of results) print(`letter ${letter}: ${result}`);
  const missing = results.find(({ result }) => result === "gone");
  if (numbers.length > 0 && missing !== undefined) throw missingLetter(missing.letter);
}

function noLetters(handler: string | undefined): string {
  return handler === undefined ? "No dead letters." : `No dead letters of ${printable(handler)}.`;
}

async function selected(broker: Broker, { handler }: SelectOptions): Promise<number[]> {
  const letters = await listLetters(broker, handler === undefined ? {} : { handler });
  return letters.map(({ letter }) => letter);
}

function checkSelection(numbers: readonly number[], { handler, all }: SelectOptions): void {
  const ways = [numbers.length > 0, handler !== undefined, all === true].filter(Boolean).length;
  if (ways === 1) return;
  throw usage(
    "name which letters: their numbers, or --handler NAME, or --all (exactly one of these)",
  );
}

async function confirmDiscard(options: SelectOptions): Promise<void> {
  checkSelection([], options);
  const what = options.all ? "all dead letters" : `all dead letters of ${options.handler}`;
  if (!process.stdin.isTTY) throw usage(`this would discard ${what}: add --yes if you mean it`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Discard ${what}? They cannot come back. [y/N] `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw usage("nothing was discarded");
}

function letterNumbers(text: string, before: readonly number[] = []): number[] {
  return [...before, letterNumber(text)];
}

function letterNumber(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw usage(`a letter is a number from \`eddy dead list\`, got ${JSON.stringify(text)}`);
}
