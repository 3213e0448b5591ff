// Fetches nats-server as Debian's package, checked by apt's own signatures, without changing the
// system: apt works on a sources list, lists and a cache of its own, and nothing is installed.
// Needs no root. Only where this machine's apt uses a Debian mirror.
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.ts";
import { indexTargetsFormat, mirrorsInIndexTargets, mirrorsInSources } from "./mirror.ts";

/** The first release of Debian with a nats-server that is new enough. */
const suite = "forky";
const keyrings = ["gpg", "pgp"].map(
  (ending) => `/usr/share/keyrings/debian-archive-keyring.${ending}`,
);

export type AptRequest = {
  readonly workFolder: string;
  readonly say: (line: string) => void;
};

/** Returns the path of the unpacked binary inside `workFolder`. */
export async function fetchFromApt({ workFolder, say }: AptRequest): Promise<string> {
  const mirrors = await debianMirrors();
  if (mirrors.length === 0) throw new Error("apt on this machine uses no Debian mirror");
  const failures: string[] = [];
  for (const mirror of mirrors) {
    try {
      say(`  apt: package nats-server of Debian ${suite}, ${withoutCredentials(mirror)}`);
      return await fetchPackage(mirror, join(workFolder, `apt-${failures.length}`), say);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      failures.push(`${withoutCredentials(mirror)}: ${withoutCredentials(text)}`);
    }
  }
  throw new Error(failures.join("; "));
}

async function debianMirrors(): Promise<string[]> {
  if (process.platform !== "linux") throw new Error("only on Debian-like Linux");
  const args = ["indextargets", "--format", indexTargetsFormat];
  const known = mirrorsInIndexTargets(
    await run("apt-get", args, { timeoutMs: 10_000 }).catch((error: Error) => {
      throw new Error(`this system has no apt (${error.message})`, { cause: error });
    }),
  );
  return known.length > 0 ? known : mirrorsInSources(await sourcesText());
}

async function sourcesText(): Promise<string> {
  const parts = "/etc/apt/sources.list.d";
  const names = (await readdir(parts).catch(() => [])).filter((n) => /\.(list|sources)$/.test(n));
  const files = ["/etc/apt/sources.list", ...names.map((name) => join(parts, name))];
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")));
  return texts.join("\n\n");
}

async function fetchPackage(mirror: string, folder: string, say: (line: string) => void) {
  for (const part of ["lists/partial", "cache/archives/partial"]) {
    await mkdir(join(folder, part), { recursive: true });
  }
  const conf = await writeAptConfig(mirror, folder);
  const onLine = (line: string) => {
    if (line.startsWith("Get:")) say(`  ${withoutCredentials(line)}`);
  };
  const apt = (...args: string[]) =>
    run("apt-get", ["-c", conf, ...args], { cwd: folder, timeoutMs: 120_000, onLine });
  await apt("update");
  await apt("download", "nats-server");
  const deb = (await readdir(folder)).find((name) => name.endsWith(".deb"));
  if (deb === undefined) throw new Error("apt-get download left no .deb");
  await run("dpkg", ["-x", deb, "package"], { cwd: folder, timeoutMs: 60_000 });
  return join(folder, "package/usr/sbin/nats-server");
}

// The system's apt.conf stays in force (proxies, credentials), except for what would write outside
// `folder` (hooks after an update) or loosen the signature check. `Error-Mode any`, because apt-get
// update otherwise exits 0 when it could not reach the mirror.
async function writeAptConfig(mirror: string, folder: string): Promise<string> {
  const keyring = keyrings.find((path) => existsSync(path));
  const signedBy = keyring === undefined ? "" : `signed-by=${keyring} `;
  const sources = join(folder, "sources.list");
  await writeFile(sources, `deb [${signedBy}target=Packages lang=none] ${mirror} ${suite} main\n`);
  const settings: Record<string, string> = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::State::lists": join(folder, "lists"),
    "Dir::Cache": join(folder, "cache"),
    "APT::Sandbox::User": "root",
    "APT::Update::Error-Mode": "any",
    "APT::Get::AllowUnauthenticated": "false",
    "Acquire::AllowInsecureRepositories": "false",
    "Acquire::AllowWeakRepositories": "false",
    "Acquire::http::Timeout": "10",
    "Acquire::https::Timeout": "10",
    "Acquire::Retries": "1",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  const conf = join(folder, "apt.conf");
  await writeFile(conf, `#clear APT::Update;\n${lines.join("\n")}\n`);
  return conf;
}

function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/\s@]*@/g, "//");
}
