// `eddy handlers`: each handler with its state and its exact counts.
import { Command } from "commander";
import { printable } from "../observe/index.ts";
import { type HandlerRow, readHandlers } from "../pipeline/index.ts";
import { withBroker } from "./connection.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { print, printJson, table } from "./output.ts";

export function handlersCommand(): Command {
  return withExamples(withJson(withServer(new Command("handlers"))), [
    ["eddy handlers", "one line each; nothing in flight: delivered is the sum of the others"],
    ["eddy handlers --json", "the same for a script"],
  ]).action(handlers);
}

async function handlers(options: ServerOptions & JsonOption): Promise<void> {
  const rows = await withBroker(options, (broker) => readHandlers(broker));
  if (options.json) return printJson(rows.map((row) => pick(row, [...fields, "outdated"])));
  if (rows.length === 0) return print("No handler has run on this server yet.");
  print(
    table(
      columns.map((name) => name.toUpperCase()),
      rows.map((row) => columns.map((name) => row[name])),
    ),
  );
  for (const { name } of rows.filter((row) => row.outdated)) {
    const shown = printable(name);
    print(
      `${shown}: its entries were folded by an earlier version. To fold them anew: eddy projection rebuild ${shown}`,
    );
  }
}

const fields = [
  "name",
  "kind",
  "file",
  "version",
  "state",
  "delivered",
  "handled",
  "duplicate",
  "filtered",
  "expired",
  "retrying",
  "dead",
  "lag",
] as const satisfies readonly (keyof HandlerRow)[];

const columns = fields.filter((name) => name !== "file");

function pick(row: HandlerRow, names: readonly (keyof HandlerRow)[]): Partial<HandlerRow> {
  return Object.fromEntries(names.map((name) => [name, row[name]]));
}
