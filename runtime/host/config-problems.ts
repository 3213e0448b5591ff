// What can be wrong with the configuration, and the one error that tells all of it.
import { EddyError } from "../events/index.ts";

/** A value and where it was given. */
export interface Given {
  readonly value: unknown;
  readonly file?: string;
  readonly line?: number;
  readonly variable?: string;
  /** Of the keys within the value, where it is a map: by their path below it, in lines. */
  readonly lines?: ReadonlyMap<string, number>;
}

export interface ConfigProblem {
  readonly file?: string;
  readonly line?: number;
  readonly variable?: string;
  readonly key?: string;
  readonly message: string;
}

/** `EDDY_CONFIG`: the configuration cannot be used. Nothing was started. */
export class ConfigError extends EddyError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? "an error" : `${problems.length} errors`;
    const lines = problems.map((problem) => `\n  ${placeOf(problem)}: ${problem.message}`);
    const first = problems[0];
    super("EDDY_CONFIG", `the configuration has ${count}, nothing was started:${lines.join("")}`, {
      key: first?.key,
      file: first?.file,
      line: first?.line,
      variable: first?.variable,
    });
    this.problems = problems;
  }
}

function placeOf({ file, line, variable }: ConfigProblem): string {
  if (variable !== undefined) return variable;
  if (file === undefined) return "configuration";
  return line === undefined ? file : `${file}:${line}`;
}
