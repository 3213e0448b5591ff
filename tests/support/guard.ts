// What must not outlive this process, also when it is killed: folders and processes. A shell waits for the end of
// a pipe that only this process holds. (The servers have such a guard of their own, in runtime/broker/local/server.ts.)
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import type { Socket } from "node:net";

// A server that is being ended may still write while its folder goes away, so rm is tried again.
const removeFolder =
  'while read -r _; do :; done; n=0; while [ -e "$0" ] && [ $n -lt 50 ]; do rm -rf "$0"; n=$((n+1)); sleep 0.1; done';

/** Returns what removes the folder now and lets the guard go. */
export function guardFolder(folder: string): () => Promise<void> {
  const release = guard(removeFolder, folder);
  return async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    release();
  };
}

/** Kills a process when this one ends. Returns what lets the guard go, once the process has ended. */
export function guardProcess(pid: number): () => void {
  return guard('while read -r _; do :; done; kill -KILL "$0"', String(pid));
}

/** Returns what unmounts the file system now and lets the guard go. What still has files open there does not hold it. */
export function guardMount(path: string): () => Promise<void> {
  const release = guard('while read -r _; do :; done; umount -l "$0"; rmdir "$0"', path);
  return async () => {
    const unmounting = spawn("umount", ["-l", path], { stdio: "ignore" });
    await once(unmounting, "exit");
    release();
  };
}

function guard(script: string, argument: string): () => void {
  const shell = spawn("sh", ["-c", script, argument], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true, // so that Ctrl-C ends the test, and not its guard
  });
  shell.on("error", () => {}); // Windows without sh: orderly ends still clean up
  shell.unref();
  (shell.stdin as Socket).unref();
  return () => void shell.kill("SIGKILL");
}
