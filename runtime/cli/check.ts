// `eddy check`: the configuration and the handlers, without a server. Says where and why, and ends in a code for CI.
import { resolve } from "node:path";
import { Command } from "commander";
import type { Handler } from "../authoring/index.ts";
import { type Mixture, mixturesIn } from "../contracts/index.ts";
import { type Config, ConfigError, configWarnings, loadConfig } from "../host/index.ts";
import { loadModules, type ModuleFailure, showPath } from "../modules/index.ts";
import { counted, printable, printableLines } from "../observe/index.ts";
import type { ExitCode } from "./exits.ts";
import {
  type ConfigOption,
  type JsonOption,
  withConfig,
  withExamples,
  withJson,
} from "./options.ts";
import { print, printJson } from "./output.ts";

interface Finding {
  readonly severity: "error" | "warning";
  /** As in docs/errors.md; null for what has none. */
  readonly code: string | null;
  readonly file: string | null;
  readonly line: number | null;
  readonly message: string;
  readonly column?: number;
  readonly frame?: string;
}

interface Checked {
  readonly handlers: readonly Handler[];
  readonly findings: readonly Finding[];
  readonly exitCode: ExitCode;
}

export function checkCommand(): Command {
  return withExamples(withJson(withConfig(new Command("check"))), [
    ["eddy check", "0: fine, 1: a handler is broken, 2: the configuration is wrong"],
    ["EDDY_HANDLERS=../shop eddy check --json", "for a script"],
  ]).action(check);
}

async function check({ config: file, json }: ConfigOption & JsonOption): Promise<void> {
  const { handlers, findings, exitCode } = await findingsOf(file);
  process.exitCode = exitCode;
  if (json) {
    printJson({
      ok: exitCode === 0,
      handlers: handlers.map(({ name, file, version, declaration }) => {
        return { name, kind: declaration.kind, file, version };
      }),
      findings: findings.map(({ severity, code, file, line, message }) => {
        return { severity, code, file, line, message };
      }),
    });
    return;
  }
  for (const finding of findings) print(readable(finding));
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const verdict = errors === 0 ? "ok" : counted(errors, "error");
  const warnings = counted(findings.length - errors, "warning");
  print(`${verdict}: ${counted(handlers.length, "handler")}, ${warnings}`);
}

async function findingsOf(file: string | undefined): Promise<Checked> {
  const warnings = configWarnings(process.env).map(warning);
  let config: Config;
  try {
    config = loadConfig({ file, env: process.env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const findings = error.problems.map(({ file, line, variable, message }): Finding => {
      const text = variable === undefined ? message : `${variable}: ${message}`;
      const place = { file: file ?? null, line: line ?? null };
      return { severity: "error", code: error.code, ...place, message: text };
    });
    return { handlers: [], findings: [...findings, ...warnings], exitCode: 2 };
  }
  const { handlers, failures } = await loadModules(config.handlers);
  const mixtures = mixturesIn(handlers).map((mixture) => mixed(config.handlers, mixture));
  const findings = [...failures.map(failed), ...mixtures, ...warnings];
  if (handlers.length === 0 && failures.length === 0) {
    findings.push(warning(`there is no handler in ${config.handlers}`));
  }
  return { handlers, findings, exitCode: failures.length > 0 ? 1 : 0 };
}

function failed({ code, file, line, message, column, frame }: ModuleFailure): Finding {
  return {
    severity: "error",
    code,
    file,
    line: line ?? null,
    message,
    ...(column === undefined ? {} : { column }),
    ...(frame === undefined ? {} : { frame }),
  };
}

function mixed(folder: string, { code, file, message }: Mixture): Finding {
  return { severity: "warning", code, file: showPath(resolve(folder, file)), line: null, message };
}

function warning(message: string): Finding {
  return { severity: "warning", code: null, file: null, line: null, message };
}

function readable({ severity, code, file, line, column, message, frame }: Finding): string {
  const place = [file, line, column]
    .filter((part) => part !== null && part !== undefined)
    .join(":");
  const text = code === null ? message : `${code}  ${message}`;
  const head = printable(`${place === "" ? "" : `${place}  `}${severity}: ${text}`);
  return frame === undefined ? head : `${head}\n${printableLines(frame)}\n`;
}
