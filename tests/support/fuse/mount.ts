// A file system that a test can pull the plug of: what was written but not synced is gone after `cut`.
// Needs Linux, root and /dev/fuse; says what is missing where it cannot be. Gone with the scope.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guardMount } from "../guard.ts";

export interface PowerCutDisk extends AsyncDisposable {
  readonly path: string;
  /** The power fails. `keepJournal`, 0 to 1: how much of the unsynced names and sizes the disk had already. */
  cut(keepJournal: number): Promise<void>;
}

/** Why it cannot be mounted here, or undefined. */
export function whyNoMount(needsFuse: boolean): string | undefined {
  if (process.platform !== "linux") return "only Linux has what is mounted";
  if (process.getuid?.() !== 0) return "mounting needs root";
  if (needsFuse && !existsSync("/dev/fuse")) return "there is no /dev/fuse";
  return undefined;
}

export async function mountPowerCutDisk(): Promise<PowerCutDisk> {
  const path = await mkdtemp(join(tmpdir(), "eddy-disk-"));
  const device = openSync("/dev/fuse", "r+");
  const script = join(import.meta.dirname, "server.ts");
  const server = spawn(process.execPath, ["--import", "tsx", script], {
    stdio: ["ignore", "ignore", "inherit", device],
  });
  const options = "fd=3,rootmode=40000,user_id=0,group_id=0";
  await finish(
    spawn("mount", ["-i", "-t", "fuse", "-o", options, "eddy", path], {
      stdio: ["ignore", "ignore", "pipe", device],
    }),
    "mount",
  );
  closeSync(device); // the server's copy holds the mount
  const unmount = guardMount(path);
  return {
    path,
    async cut(keepJournal) {
      const order = join(path, `.cut-${Math.round(keepJournal * 1_000)}`);
      await mkdir(order).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error; // the answer to an order
      });
    },
    async [Symbol.asyncDispose]() {
      const gone = once(server, "exit");
      await unmount();
      await gone;
      await rm(path, { recursive: true, force: true });
    },
  };
}

export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
}

/** A disk in memory that has only so many bytes. */
export async function mountSmallDisk(bytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), "eddy-disk-"));
  const options = `size=${bytes}`;
  await finish(spawn("mount", ["-t", "tmpfs", "-o", options, "eddy", path]), "mount");
  const unmount = guardMount(path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await unmount();
      await rm(path, { recursive: true, force: true });
    },
  };
}

async function finish(child: ChildProcess, what: string): Promise<void> {
  let words = "";
  child.stderr?.on("data", (text) => {
    words += String(text);
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${what} ended in ${code}: ${words}`);
}
