// How a command ends: exit codes that scripts can rely on, and errors as letters instead of stack traces.
import { EddyError } from "../events/index.ts";
import { printableLines } from "../observe/index.ts";

/** 0 done, 1 failed, 2 wrong usage or configuration, 3 what was asked for does not exist. */
export type ExitCode = 0 | 1 | 2 | 3;

const exitCodes: Readonly<Record<string, ExitCode>> = {
  EDDY_CONFIG: 2,
  EDDY_USAGE: 2,
  EDDY_REBUILD_FROM: 2,
  EDDY_INDEX_UNKNOWN: 2,
  EDDY_NOT_FOUND: 3,
  EDDY_PROJECTION_UNKNOWN: 3,
  EDDY_REPLAY_RANGE: 2,
  EDDY_REPLAY_GONE: 3,
  EDDY_PAST_BEFORE: 3,
  EDDY_PAST_CODE: 3,
  EDDY_PAST_ORDER: 2,
};

/** A command line that cannot be meant. */
export function usage(message: string): EddyError {
  return new EddyError("EDDY_USAGE", message);
}

export function notFound(message: string): EddyError {
  return new EddyError("EDDY_NOT_FOUND", message);
}

/** Says on stderr why a command failed, and with which code it ends. */
export function explain(thrown: unknown): ExitCode {
  if (thrown instanceof EddyError) {
    process.stderr.write(`${thrown.code}  ${printableLines(thrown.message)}\n`);
    return exitCodes[thrown.code] ?? 1;
  }
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  process.stderr.write(`This is a bug in eddy, please report it:\n${printableLines(stack)}\n`);
  return 1;
}
