// Finds a nats-server that is new enough, and says which one and why. Owns the order of places:
// NATS_SERVER_BIN, the PATH, the user's cache, then a fetch into that cache (release, apt).
// F1 What is returned ran and told its version.   F2 A place that does not do is named, then the next
// is tried; only NATS_SERVER_BIN is an explicit choice and fails at once.
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { EddyError } from "../../events/index.ts";
import { fetchFromApt } from "./apt.ts";
import { cachedServers, cacheFolder, keep, withCacheLock, withWorkFolder } from "./cache.ts";
import { run } from "./command.ts";
import { fetchRelease, officialReleases } from "./release.ts";
import {
  formatVersion,
  howToGetIt,
  judgeServerVersion,
  parseVersion,
  supportedServerVersion,
} from "./versions.ts";

export type NatsServerOrigin = "env" | "path" | "cache" | "release" | "apt";

export type NatsServer = {
  readonly path: string;
  readonly version: string;
  readonly origin: NatsServerOrigin;
  /** What is weaker with this version; absent when nothing is. */
  readonly warning?: string;
};

export type FindOptions = { readonly onProgress: (line: string) => void };

const wordsFor: Record<NatsServerOrigin, string> = {
  env: "NATS_SERVER_BIN",
  path: "the PATH",
  cache: "the cache",
  release: "the official release, now in the cache",
  apt: "Debian's package, now in the cache",
};

export async function findNatsServer({ onProgress }: FindOptions): Promise<NatsServer> {
  const search = new Search(onProgress);
  const found =
    (await search.env()) ??
    (await search.path()) ??
    (await search.cache()) ??
    (await search.fetch());
  if (found === undefined) throw search.missing();
  onProgress(`nats-server ${found.version} from ${wordsFor[found.origin]}: ${found.path}`);
  if (found.warning !== undefined) onProgress(`warning: ${found.warning}`);
  return found;
}

/** One search: its places, and what was tried so far for the error at its end. */
class Search {
  readonly #say: (line: string) => void;
  readonly #tried: string[] = [];
  readonly #folder = cacheFolder(process.env, process.platform);

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  async env(): Promise<NatsServer | undefined> {
    const path = process.env.NATS_SERVER_BIN;
    if (!path) return this.#miss("NATS_SERVER_BIN: not set");
    const examined = await examine(path, "env");
    if (examined.kind === "found") return examined.server;
    const code =
      examined.kind === "refused" ? "EDDY_NATS_SERVER_TOO_OLD" : "EDDY_NATS_SERVER_MISSING";
    throw new EddyError(
      code,
      `NATS_SERVER_BIN is ${path}: ${examined.reason} Or unset NATS_SERVER_BIN: then one is found or fetched.`,
      { path },
    );
  }

  async path(): Promise<NatsServer | undefined> {
    const name = process.platform === "win32" ? "nats-server.exe" : "nats-server";
    const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
    for (const path of folders.map((folder) => join(folder, name))) {
      if (!(await isExecutable(path))) continue;
      const server = await this.#examined(path, "path");
      if (server) return server;
    }
    return this.#miss("the PATH: no usable nats-server");
  }

  async cache(): Promise<NatsServer | undefined> {
    for (const path of await cachedServers(this.#folder)) {
      const server = await this.#examined(path, "cache");
      if (server) return server;
    }
    return this.#miss(`the cache ${this.#folder}: no usable nats-server`);
  }

  async fetch(): Promise<NatsServer | undefined> {
    const onWait = (pid: string) =>
      this.#say(`process ${pid} is fetching nats-server: waiting for it`);
    try {
      return await withCacheLock(
        this.#folder,
        onWait,
        async () =>
          (await this.cache()) ??
          (await this.#fetched("release", (workFolder) =>
            fetchRelease({
              from: officialReleases,
              version: supportedServerVersion,
              workFolder,
              say: this.#say,
            }),
          )) ??
          (await this.#fetched("apt", (workFolder) =>
            fetchFromApt({ workFolder, say: this.#say }),
          )),
      );
    } catch (error) {
      return this.#miss(`a fetch into ${this.#folder}: ${messageOf(error)}`);
    }
  }

  missing(): EddyError {
    const tried = [...new Set(this.#tried)].map((line) => `  - ${line}`).join("\n");
    return new EddyError(
      "EDDY_NATS_SERVER_MISSING",
      `no nats-server ${supportedServerVersion} or newer was found, and none could be fetched. Tried:\n${tried}\n` +
        `${howToGetIt} Then put it on the PATH, or set NATS_SERVER_BIN to it.`,
      { needed: supportedServerVersion },
    );
  }

  async #fetched(
    origin: "release" | "apt",
    fetchInto: (workFolder: string) => Promise<string>,
  ): Promise<NatsServer | undefined> {
    this.#say(`fetching nats-server (${origin}) into ${this.#folder}`);
    try {
      return await withWorkFolder(this.#folder, async (workFolder) => {
        const binary = await fetchInto(workFolder);
        const server = await this.#examined(binary, origin);
        return server && { ...server, path: await keep(this.#folder, binary, server.version) };
      });
    } catch (error) {
      const what = origin === "release" ? "the official release" : "Debian's package";
      return this.#miss(`${what}: ${messageOf(error)}`, "say");
    }
  }

  async #examined(path: string, origin: NatsServerOrigin): Promise<NatsServer | undefined> {
    const examined = await examine(path, origin);
    if (examined.kind === "found") return examined.server;
    return this.#miss(`${path}: ${examined.reason}`, "say");
  }

  #miss(line: string, aloud?: "say"): undefined {
    this.#tried.push(line);
    if (aloud) this.#say(line);
  }
}

type Examined =
  | { kind: "found"; server: NatsServer }
  | { kind: "refused"; reason: string }
  | { kind: "broken"; reason: string };

async function examine(path: string, origin: NatsServerOrigin): Promise<Examined> {
  let output: string;
  try {
    output = await run(path, ["--version"], { timeoutMs: 10_000 });
  } catch (error) {
    return { kind: "broken", reason: `it cannot be run (${messageOf(error)}).` };
  }
  const parsed = parseVersion(output);
  if (parsed === undefined) {
    return { kind: "broken", reason: `--version answered ${JSON.stringify(output.slice(0, 80))}.` };
  }
  const version = formatVersion(parsed);
  const judged = judgeServerVersion(version);
  switch (judged.kind) {
    case "ok":
      return { kind: "found", server: { path, version, origin } };
    case "weaker":
      return { kind: "found", server: { path, version, origin, warning: judged.warning } };
    case "refused":
      return { kind: "refused", reason: judged.message };
  }
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
