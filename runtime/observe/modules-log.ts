// What the handlers folder does, as lines of log. A failure keeps its code frame: shown whole to people, a field
// for machines.
import type { ModuleFailure, ModuleReport } from "../modules/index.ts";
import type { Logger } from "./logger.ts";

export function logModules(logger: Logger): (report: ModuleReport) => void {
  return (report) => {
    switch (report.kind) {
      case "loaded": {
        const { module, version, handlers, ms, verified } = report;
        const names = handlers.join(", ") || "no handlers";
        const note = verified === undefined ? "" : ` (${verified})`;
        const text = `loaded ${module}@${version} in ${Math.round(ms)} ms: ${names}${note}`;
        return logger.info({ module, version, handlers, ms, verified }, text);
      }
      case "removed": {
        const { module, handlers } = report;
        return logger.info({ module, handlers }, `removed ${module}: ${handlers.join(", ")}`);
      }
      case "failed":
        return logFailure(logger, report.failure, report.running);
      case "setting":
        return logger.warn({ module: report.module }, report.message);
      case "folder": {
        const level = report.state === "found" ? "info" : "warn";
        return logger[level]({ state: report.state }, report.message);
      }
    }
  };
}

function logFailure(logger: Logger, failure: ModuleFailure, running: string | undefined): void {
  const now = running === undefined ? "It does not run." : `Version ${running} runs on.`;
  const sentence = `${failure.code} ${placeOf(failure)}: ${failure.message}. ${now}`;
  logger.error({ ...failure, running }, sentence);
}

/** `file:line:column`, as editors and terminals make links of it. */
export function placeOf({ file, line, column }: ModuleFailure): string {
  return [file, line, column].filter((part) => part !== undefined).join(":");
}
