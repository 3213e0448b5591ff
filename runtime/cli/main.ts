// The command line: which commands there are, and how each ends. Only the file of the chosen command is loaded,
// so that `eddy --help` answers at once.
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { explain } from "./exits.ts";

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

const commands: Readonly<Record<string, Entry>> = {
  init: {
    summary: "make a handlers folder: tsconfig, a first handler and its test",
    load: async () => (await import("./init.ts")).initCommand(),
  },
  dev: {
    summary: "run everything here: a local nats-server, the runtime, hot reload",
    load: async () => (await import("./dev.ts")).devCommand(),
  },
  start: {
    summary: "run the runtime, as in production",
    load: async () => (await import("./start.ts")).startCommand(),
  },
  emit: {
    summary: "store one event",
    load: async () => (await import("./emit.ts")).emitCommand(),
  },
  tail: {
    summary: "show events as they are stored",
    load: async () => (await import("./tail.ts")).tailCommand(),
  },
  handlers: {
    summary: "list handlers with their state and counts",
    load: async () => (await import("./handlers.ts")).handlersCommand(),
  },
  reconcile: {
    summary: "count what each handler did, and name what is missing or doubled",
    load: async () => (await import("./reconcile.ts")).reconcileCommand(),
  },
  projection: {
    summary: "list, read, watch, compare and rebuild projections",
    load: async () => (await import("./projection.ts")).projectionCommand(),
  },
  dead: {
    summary: "list, show, replay and discard dead letters",
    load: async () => (await import("./dead.ts")).deadCommand(),
  },
  lanes: {
    summary: "show keys that a failed event holds back, and let them go",
    load: async () => (await import("./lanes.ts")).lanesCommand(),
  },
  replay: {
    summary: "run a handler's code over events of the past, or compare two versions of it",
    load: async () => (await import("./replay.ts")).replayCommand(),
  },
  check: {
    summary: "check the configuration and the handlers, without a server",
    load: async () => (await import("./check.ts")).checkCommand(),
  },
  test: {
    summary: "run the tests of a handlers folder",
    load: async () => (await import("./run-tests.ts")).testCommand(),
  },
};

export async function main(argv: readonly string[]): Promise<void> {
  endQuietlyOnClosedPipe();
  try {
    const program = await programFor(argv[0] === "help" ? argv[1] : argv[0]);
    await program.parseAsync(argv, { from: "user" });
  } catch (thrown) {
    // A wrong command line; commander has said why.
    if (thrown instanceof CommanderError) process.exitCode = thrown.exitCode === 0 ? 0 : 2;
    else process.exitCode = explain(thrown);
  }
}

async function programFor(chosen: string | undefined): Promise<Command> {
  const program = new Command("eddy")
    .description("Eddyline: a runtime for event handlers on NATS JetStream")
    .version(version(), "-V, --version")
    .usage("<command> [options]")
    .helpOption("-h, --help")
    .addHelpText("after", rootHelp);
  for (const [name, { summary, load }] of Object.entries(commands)) {
    const command = name === chosen ? await load() : new Command(name);
    program.addCommand(command.description(summary));
  }
  eachCommand(program, (command) => {
    command.exitOverride().showHelpAfterError(`Try: ${pathOf(command)} --help`);
  });
  return program;
}

// Settings are inherited by commands made with `.command()`, not by added ones.
function eachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command);
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    eachCommand(child, visit);
  }
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return String(JSON.parse(text).version);
}

// `eddy tail | head`: the reader has what it wanted.
function endQuietlyOnClosedPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(); // with the exit code that the command has come to
    throw error;
  });
}

const rootHelp = `
Examples:
  $ eddy dev                                                  everything on this machine, until Ctrl-C
  $ eddy emit com.example.visitor.arrived '{"name":"Ada"}'    store an event
  $ eddy tail --from first                                    see what happened and happens

Configuration: config/eddy.yaml, then environment variables (http.port is EDDY_HTTP_PORT).
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not found.`;
