// Options that commands share, and the examples below their help.
import type { Command } from "commander";

export interface ConfigOption {
  readonly config?: string;
}

export interface ServerOptions extends ConfigOption {
  readonly server?: string;
}

export interface JsonOption {
  readonly json?: true;
}

export function withConfig(command: Command): Command {
  return command.option(
    "-c, --config <file>",
    "configuration file (default: EDDY_CONFIG or config/eddy.yaml)",
  );
}

/** For commands that speak to a server which runs already. */
export function withServer(command: Command): Command {
  const help =
    "NATS servers, separated by commas (default: a running `eddy dev`, else nats.servers)";
  return withConfig(command).option("-s, --server <urls>", help);
}

export function withJson(command: Command): Command {
  return command.option("--json", "print JSON");
}

/** Each example is a command line and what it does. */
export function withExamples(
  command: Command,
  examples: readonly (readonly [line: string, what: string])[],
): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, what]) => `  $ ${line.padEnd(width)}  ${what}`);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}
