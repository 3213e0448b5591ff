// Removes a folder when this process ends, also by SIGKILL: a shell waits for the end of a pipe that only
// this process holds. (The servers have such a guard of their own, in runtime/broker/local/server.ts.)
import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import type { Socket } from "node:net";

// A server that is being ended may still write while its folder goes away, so rm is tried again.
const script =
  'while read -r _; do :; done; n=0; while [ -e "$0" ] && [ $n -lt 50 ]; do rm -rf "$0"; n=$((n+1)); sleep 0.1; done';

/** Returns what removes the folder now and lets the guard go. */
export function guardFolder(folder: string): () => Promise<void> {
  const guard = spawn("sh", ["-c", script, folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true, // so that Ctrl-C ends the test, and not its guard
  });
  guard.on("error", () => {}); // Windows without sh: orderly ends still clean up
  guard.unref();
  (guard.stdin as Socket).unref();
  return async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    guard.kill("SIGKILL");
  };
}
