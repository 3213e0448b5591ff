// The command line as a script uses it: its own process, its exit code, its JSON.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { launcher } from "./launcher.ts";

export interface CliResult {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `eddy` to its end. Only the EDDY_ variables that are given reach it. */
export async function runEddy(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("EDDY_"));
  const child = spawn(process.execPath, [await launcher(), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...Object.fromEntries(inherited), ...env },
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  const [[code], out, err] = await Promise.all([
    once(child, "close"),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, out, err };
}

/** Runs `eddy … --json` against a server and gives what it printed. */
export async function eddyJson<T>(nats: { readonly url: string }, ...args: string[]): Promise<T> {
  const { code, out, err } = await runEddy([...args, "--json"], { EDDY_NATS_SERVERS: nats.url });
  assert.equal(code, 0, `eddy ${args.join(" ")} ended in ${code}: ${out}${err}`);
  return JSON.parse(out);
}
