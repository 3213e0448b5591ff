// `eddy lanes`: keys that one of their events holds back, by what, and how an operator lets one go.
import { Command } from "commander";
import { type HeldRow, listHeldKeys, releaseKey } from "../pipeline/index.ts";
import { withBroker } from "./connection.ts";
import { notFound } from "./exits.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { print, printJson, table } from "./output.ts";

type Options = ServerOptions & JsonOption;

export function lanesCommand(): Command {
  const command = withJson(withServer(new Command("lanes"))).argument(
    "[handler]",
    "only the keys of this handler",
  );
  return withExamples(command, [
    ["eddy lanes", "which keys wait, for what, and how much is parked behind it"],
    ["eddy lanes release orders/credit.reserveCredit c-7", "let the followers of c-7 go on"],
  ])
    .action(list)
    .addCommand(releaseCommand());
}

async function list(handler: string | undefined, options: Options): Promise<void> {
  const rows = await withBroker(options, (broker) => listHeldKeys(broker, handler));
  if (options.json) return printJson(rows.map(rowItem));
  if (rows.length === 0) return print("No key is held.");
  const head = ["HANDLER", "KEY", "STATE", "PARKED", "SINCE", "SOURCE", "ID", "POSITION"];
  print(
    table(
      head,
      rows.map(({ handler, key, parked, since, by, ...row }) => {
        const position = by === undefined ? undefined : `${by.stream} ${by.seq}`;
        return [handler, key, stateText(row), parked, since, by?.source, by?.id, position];
      }),
    ),
  );
  print("\nLet one go: eddy lanes release HANDLER KEY. Of dead ones: eddy dead show LETTER");
}

function stateText({
  state,
  attempt,
  due,
  letter,
}: Pick<HeldRow, "state" | "attempt" | "due" | "letter">): string {
  if (state === "waiting") return `attempt ${attempt} at ${due}`;
  if (state === "draining") return "goes on";
  return letter === undefined ? "dead, its letter is gone" : `dead, letter ${letter}`;
}

/** The item of `--json`. What a state does not have is null. */
function rowItem({ handler, key, state, by, attempt, due, letter, parked, since }: HeldRow) {
  return {
    handler,
    key,
    state,
    source: by?.source ?? null,
    id: by?.id ?? null,
    origin: by === undefined ? null : { stream: by.stream, seq: by.seq },
    attempt: attempt ?? null,
    due: due ?? null,
    letter: letter ?? null,
    parked,
    since,
  };
}

function releaseCommand(): Command {
  const command = withJson(withServer(new Command("release")))
    .description(
      "let a held key go: its followers run, the event that holds it is retried as before",
    )
    .argument("<handler>", "its name in `eddy lanes`")
    .argument("<key>", "the key in `eddy lanes`");
  return withExamples(command, [
    ["eddy lanes release orders/credit.reserveCredit c-7", "its followers need not wait"],
  ]).action(release);
}

async function release(handler: string, key: string, _: Options, command: Command): Promise<void> {
  const options = command.optsWithGlobals<Options>(); // `eddy lanes` has them too, and takes them for its own
  const result = await withBroker(options, (broker) => releaseKey(broker, handler, key));
  if (result === "not held") {
    throw notFound(`no event holds key ${JSON.stringify(key)} of ${handler}. See: eddy lanes`);
  }
  if (options.json) return printJson({ handler, key, result });
  print(`released: ${handler} goes on with what is parked, as soon as it runs`);
}
