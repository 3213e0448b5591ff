// Fetches the official build of nats-server for this platform. Nothing is unpacked before its SHA-256
// is the one that the release's SHA256SUMS names.
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.ts";

export const officialReleases = "https://github.com/nats-io/nats-server/releases/download";

/** Behind a closed firewall a connect hangs: the user must not wait long for the next way. */
const answerTimeoutMs = 5_000;
const stallTimeoutMs = 10_000;

export type ReleaseRequest = {
  readonly from: string;
  readonly version: string;
  readonly workFolder: string;
  readonly say: (line: string) => void;
};

/** Returns the path of the unpacked binary inside `workFolder`. */
export async function fetchRelease(request: ReleaseRequest): Promise<string> {
  const { from, version, workFolder, say } = request;
  const name = `nats-server-v${version}-${platformName()}`;
  const archive = `${name}.${process.platform === "win32" ? "zip" : "tar.gz"}`;
  const sums = await get(`${from}/v${version}/SHA256SUMS`, AbortSignal.timeout(answerTimeoutMs));
  const expected = sumOf(await sums.text(), archive);
  const file = join(workFolder, archive);
  const actual = await download(`${from}/v${version}/${archive}`, file, say);
  if (actual !== expected) {
    throw new Error(
      `${archive} has SHA-256 ${actual}, but SHA256SUMS says ${expected}: thrown away`,
    );
  }
  await run("tar", ["-xf", archive], { cwd: workFolder, timeoutMs: 60_000 });
  return join(workFolder, name, process.platform === "win32" ? "nats-server.exe" : "nats-server");
}

/** The release's own word for this platform: "linux-amd64", "darwin-arm64", "linux-arm7". */
function platformName(): string {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const names: Partial<Record<NodeJS.Architecture, string>> = {
    x64: "amd64",
    ia32: "386",
    arm: "arm7",
    ppc64: "ppc64le",
  };
  return `${system}-${names[process.arch] ?? process.arch}`;
}

function sumOf(sums: string, archive: string): string {
  for (const line of sums.split("\n")) {
    const [sum, name] = line.trim().split(/\s+\*?/);
    if (name === archive && sum !== undefined) return sum.toLowerCase();
  }
  throw new Error(`the release has no ${archive}`);
}

async function get(url: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal }).catch((error: unknown) => {
    throw new Error(`${url}: ${reason(error)}`, { cause: error });
  });
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  return response;
}

// fetch() hides the interesting half ("getaddrinfo ENOTFOUND …") in the cause.
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

async function download(url: string, file: string, say: (line: string) => void): Promise<string> {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(new Error("no data for 10 s")), stallTimeoutMs);
  const output = await open(file, "w");
  try {
    const response = await get(url, stalled.signal);
    const sizeBytes = Number(response.headers.get("content-length") ?? 0);
    const hash = createHash("sha256");
    const progress = percentLines(url, sizeBytes, say);
    for await (const chunk of response.body ?? []) {
      timer.refresh();
      hash.update(chunk);
      await output.write(chunk);
      progress(chunk.length);
    }
    return hash.digest("hex");
  } finally {
    clearTimeout(timer);
    await output.close();
  }
}

/** One line at the start and one for each quarter: readable on a terminal and in a CI log. */
function percentLines(url: string, sizeBytes: number, say: (line: string) => void) {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  say(`  ${url}${sizeBytes ? ` (${megabytes(sizeBytes)})` : ""}`);
  let received = 0;
  let quarter = 0;
  return (bytes: number) => {
    received += bytes;
    const now = sizeBytes ? Math.floor((4 * received) / sizeBytes) : 0;
    if (now > quarter) say(`  ${now * 25} % (${megabytes(received)})`);
    quarter = Math.max(quarter, now);
  };
}
