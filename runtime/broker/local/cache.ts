// The user's cache folder and the nats-server binaries in it, one file for each version and platform.
// C1 A binary appears whole or not at all: it is made aside and renamed.
// C2 Processes that start together fetch once: one works, the others wait and then find its copy.
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { compareVersions } from "./versions.ts";

/** A fetch takes seconds; a lock older than this was left behind, whatever its pid says. */
const lockAgeMaxMs = 5 * 60_000;
const lockPollMs = 100;
const workPrefix = ".new-";

type Env = Readonly<Record<string, string | undefined>>;

/** `EDDY_CACHE`, else the place that the platform has for caches. */
export function cacheFolder(env: Env, platform: NodeJS.Platform, home = homedir()): string {
  if (env.EDDY_CACHE) return env.EDDY_CACHE;
  if (platform === "win32")
    return join(env.LOCALAPPDATA || join(home, "AppData", "Local"), "eddyline");
  if (platform === "darwin") return join(home, "Library", "Caches", "eddyline");
  return join(env.XDG_CACHE_HOME || join(home, ".cache"), "eddyline");
}

const suffix = `-${process.platform}-${process.arch}${process.platform === "win32" ? ".exe" : ""}`;

/** Paths of the binaries for this platform, the newest version first. */
export async function cachedServers(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => name.startsWith("nats-server-") && name.endsWith(suffix))
    .sort((a, b) => compareVersions(versionInName(b), versionInName(a)))
    .map((name) => join(folder, name));
}

function versionInName(name: string): string {
  return name.slice("nats-server-".length, -suffix.length);
}

/** Takes a binary (made under `workFolder`) into the cache. Returns its path there. */
export async function keep(folder: string, binary: string, version: string): Promise<string> {
  const kept = join(folder, `nats-server-${version}${suffix}`);
  await chmod(binary, 0o755);
  await rename(binary, kept);
  return kept;
}

/** Runs `work` with a folder of its own inside the cache, removed afterwards. */
export async function withWorkFolder<T>(
  folder: string,
  work: (workFolder: string) => Promise<T>,
): Promise<T> {
  await removeLeftBehind(folder);
  const workFolder = await mkdtemp(join(folder, workPrefix));
  try {
    return await work(workFolder);
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
}

async function removeLeftBehind(folder: string): Promise<void> {
  const names = await readdir(folder);
  for (const path of names.filter((n) => n.startsWith(workPrefix)).map((n) => join(folder, n))) {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > lockAgeMaxMs) await rm(path, { recursive: true, force: true });
  }
}

/** Runs `work` while no other process that uses this cache folder is inside. */
export async function withCacheLock<T>(
  folder: string,
  onWait: (pid: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(folder, { recursive: true });
  const lock = join(folder, ".lock");
  for (let waited = false; !(await takeLock(lock)); waited = true) {
    if (!waited) onWait((await readFile(lock, "utf8").catch(() => "")) || "unknown");
    await sleep(lockPollMs);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

// Two that find the same abandoned lock may both get in: then both fetch, and the last rename wins (C1).
async function takeLock(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  if (await isAbandoned(lock)) await rm(lock, { force: true });
  return false;
}

async function isAbandoned(lock: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(lock);
    const pid = Number(await readFile(lock, "utf8"));
    return Date.now() - mtimeMs > lockAgeMaxMs || (pid > 0 && !isAlive(pid));
  } catch {
    return false; // gone in the meantime: the next try takes it
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
