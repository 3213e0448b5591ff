// The log: pino, one JSON object a line for machines, or one readable line for people. Written in this thread,
// so that nothing is lost when the process ends. Whatever comes from outside is made safe for a terminal.
import { pino } from "pino";
import pretty from "pino-pretty";
import { printable, printableLines } from "./printable.ts";

export type Logger = pino.Logger;

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error" | "silent";
  /** `auto` is pretty on a terminal. */
  readonly format: "auto" | "pretty" | "json";
}

/** Where log lines go: standard output, or a test. */
export interface LogTarget {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export function createLogger(options: LogOptions, target: LogTarget = process.stdout): Logger {
  const readable =
    options.format === "pretty" || (options.format === "auto" && target.isTTY === true);
  const forPeople = readable ? prettyLine(target.isTTY === true) : undefined;
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
  };
  return pino(settings, {
    write: (line) => void target.write(forPeople === undefined ? line : forPeople(line)),
  });
}

function prettyLine(colorize: boolean): (line: string) => string {
  return pretty.prettyFactory({
    colorize,
    translateTime: "SYS:HH:MM:ss.l",
    hideObject: true, // the sentence says it; JSON has the fields
    messageFormat: (entry, messageKey) => {
      const sentence = printable(String(entry[messageKey] ?? ""));
      return [sentence, ...detailsOf(entry).map(indented)].join("\n");
    },
  });
}

/** What does not fit into the sentence: the facts of a handler's own line, a code frame, a stack. */
function detailsOf(entry: Readonly<Record<string, unknown>>): string[] {
  const { facts, frame, err } = entry;
  const stack = typeof err === "object" && err !== null && "stack" in err ? err.stack : undefined;
  return [
    ...(facts === undefined ? [] : [printable(JSON.stringify(facts))]),
    ...(typeof frame === "string" ? [printableLines(frame)] : []),
    ...(typeof stack === "string" ? [printableLines(stack)] : []),
  ];
}

function indented(text: string): string {
  return text.replace(/^/gm, "    ");
}
