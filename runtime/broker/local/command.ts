// Runs a program to its end: tar, apt-get, dpkg, nats-server --version. Output is kept, never inherited.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export type CommandOptions = {
  readonly cwd?: string;
  readonly timeoutMs: number;
  /** Each line of stdout as it comes, for programs that take a while. */
  readonly onLine?: (line: string) => void;
};

/** Resolves with stdout; rejects with one line that says which program failed and its last words. */
export function run(
  program: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: "C" },
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
    });
    // spawn's own timeout keeps the process alive when the program cannot be started at all.
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
    const stdout: string[] = [];
    const stderr: string[] = [];
    createInterface(child.stdout).on("line", (line) => {
      stdout.push(line);
      options.onLine?.(line);
    });
    createInterface(child.stderr).on("line", (line) => stderr.push(line));
    child.on("error", (cause) => reject(new Error(`${program}: ${cause.message}`, { cause })));
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(stdout.join("\n"));
      const ended = signal === null ? `exit code ${code}` : `stopped after ${options.timeoutMs} ms`;
      const words = stderr.filter((line) => line.trim() !== "").slice(-3);
      reject(new Error([`${program}: ${ended}`, ...words].join("; ")));
    });
  });
}
