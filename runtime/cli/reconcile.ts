// `eddy reconcile`: counts each handler from the server alone, and names what is missing or doubled.
import { Command } from "commander";
import { printable } from "../observe/index.ts";
import { type Finding, type Reconciled, reconcile } from "../pipeline/index.ts";
import { withBroker } from "./connection.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { print, printJson, table } from "./output.ts";

export function reconcileCommand(): Command {
  const command = withJson(withServer(new Command("reconcile"))).argument(
    "[handlers...]",
    "only these; all without",
  );
  return withExamples(command, [
    [
      "eddy reconcile",
      "counts stream, ledgers, retries, letters, effects and entries; ends in 1 where they differ",
    ],
    ["eddy reconcile orders/credit.reserveCredit", "one handler"],
    ["eddy reconcile --json | jq '.[].findings[]'", "what is missing or doubled, by source and id"],
  ]).action(run);
}

async function run(handlers: string[], options: ServerOptions & JsonOption): Promise<void> {
  const progress = showProgress();
  const rows = await withBroker(options, (broker) =>
    reconcile(broker, handlers, progress.show),
  ).finally(progress.end);
  if (rows.some(({ findings }) => findings.length > 0)) process.exitCode = 1;
  if (options.json) return printJson(rows);
  if (rows.length === 0) return print("No handler has run on this server yet.");
  print(
    table(
      columns.map((name) => name.toUpperCase()),
      rows.map((row) => columns.map((name) => row[name] ?? undefined)),
    ),
  );
  print();
  for (const row of rows) for (const note of row.notes) print(`note: ${row.name}: ${note}`);
  for (const row of rows) for (const finding of row.findings) print(findingLine(row, finding));
  const found = rows.reduce((sum, { findings }) => sum + findings.length, 0);
  print(
    found === 0 ? "All is accounted for: nothing missing, nothing doubled." : `${found} found.`,
  );
}

const columns = [
  "name",
  "events",
  "floor",
  "lag",
  "delivered",
  "handled",
  "duplicate",
  "filtered",
  "expired",
  "retrying",
  "dead",
  "waiting",
  "letters",
  "effects",
  "entries",
] as const satisfies readonly (keyof Reconciled)[];

function findingLine(
  { name }: Reconciled,
  { kind, what, seq, stream, source, id, text }: Finding,
): string {
  const which = what === undefined ? kind : `${kind} ${what}`;
  const where = seq === undefined ? "" : ` ${stream === undefined ? "" : `${stream}:`}${seq}`;
  const event = id === undefined ? "" : ` (source ${source}, id ${id})`;
  return printable(`${which}: ${name}${where}${event}: ${text}`);
}

/** On a terminal: how far it has come. */
function showProgress() {
  const stream = process.stderr;
  let nextMs = 0;
  return {
    show(seq: number, lastSeq: number): void {
      if (!stream.isTTY || Date.now() < nextMs) return;
      nextMs = Date.now() + 200;
      stream.write(`\r${seq} of ${lastSeq} read `);
    },
    end(): void {
      if (stream.isTTY && nextMs > 0) stream.write("\r\x1b[K");
    },
  };
}
