// `.eddy/dev.json`: where a running `eddy dev` is, so that other commands in the same folder find it.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const devFile = ".eddy/dev.json";

export interface DevPlaces {
  readonly nats: string;
  readonly http: string;
  readonly pid: number;
}

export function writeDevFile(places: DevPlaces): void {
  mkdirSync(dirname(devFile), { recursive: true });
  writeFileSync(devFile, `${JSON.stringify(places)}\n`);
}

export function removeDevFile(): void {
  rmSync(devFile, { force: true });
}

/** Where the `eddy dev` of this folder is, or undefined where none runs. */
export function readDevFile(): DevPlaces | undefined {
  try {
    const { nats, http, pid } = JSON.parse(readFileSync(devFile, "utf8"));
    if (typeof nats !== "string" || typeof http !== "string" || !lives(pid)) return undefined;
    return { nats, http, pid };
  } catch {
    return undefined; // none, or half of one
  }
}

// A pid that was given to another process after a crash misleads at most to a server that does not answer.
function lives(pid: unknown): boolean {
  if (typeof pid !== "number") return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
