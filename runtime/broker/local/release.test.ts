import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fetchRelease } from "./release.ts";

// A server that stands in for the release page: any platform's archive, with its real checksum or not.
const root = await mkdtemp(join(tmpdir(), "eddy-release-"));
const archives = new Map<string, Buffer>();
const releases = createServer((request, response) => {
  const [, version = "", file = ""] = request.url?.split("/") ?? [];
  const body = archives.get(`${version}/${file}`);
  response.writeHead(body ? 200 : 404, { "content-length": body?.length ?? 0 }).end(body);
}).listen(0, "127.0.0.1");
await new Promise((resolve) => releases.once("listening", resolve));
const from = `http://127.0.0.1:${(releases.address() as AddressInfo).port}`;
after(async () => {
  releases.closeAllConnections();
  releases.close();
  await rm(root, { recursive: true, force: true });
});

const platform = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;

async function publish(version: string, sumOf: (archive: Buffer) => string): Promise<void> {
  const name = `nats-server-v${version}-${platform}`;
  await mkdir(join(root, name));
  await writeFile(join(root, name, "nats-server"), `the binary of ${version}`);
  execFileSync("tar", ["-czf", `${name}.tar.gz`, name], { cwd: root });
  const archive = await readFile(join(root, `${name}.tar.gz`));
  archives.set(`v${version}/${name}.tar.gz`, archive);
  const sums = `${"0".repeat(64)}  other.zip\n${sumOf(archive)}  ${name}.tar.gz\n`;
  archives.set(`v${version}/SHA256SUMS`, Buffer.from(sums));
}

async function fetchIt(version: string) {
  const workFolder = await mkdtemp(join(root, "work-"));
  const said: string[] = [];
  const path = fetchRelease({ from, version, workFolder, say: (line) => said.push(line) });
  return { path, workFolder, said };
}

test("the archive of this platform is fetched, checked, unpacked, and its progress told", async () => {
  await publish("9.0.0", (archive) => createHash("sha256").update(archive).digest("hex"));
  const { path, said } = await fetchIt("9.0.0");
  assert.equal(await readFile(await path, "utf8"), "the binary of 9.0.0");
  assert.match(said.join("\n"), /nats-server-v9\.0\.0.*\n.*100 %/s);
});

test("an archive that is not what SHA256SUMS names is never unpacked", async () => {
  await publish("9.0.1", () => "a".repeat(64));
  const { path, workFolder } = await fetchIt("9.0.1");
  await assert.rejects(path, /SHA-256 [0-9a-f]{64}, but SHA256SUMS says a{64}: thrown away/);
  assert.deepEqual(await readdir(workFolder), [`nats-server-v9.0.1-${platform}.tar.gz`]);
});

test("a release that does not exist, lacks the platform, or cannot be reached says which and why", async () => {
  await assert.rejects((await fetchIt("9.9.9")).path, /v9\.9\.9\/SHA256SUMS: HTTP 404/);
  archives.set("v9.0.2/SHA256SUMS", Buffer.from(`${"0".repeat(64)}  other.zip\n`));
  await assert.rejects((await fetchIt("9.0.2")).path, /the release has no nats-server-v9\.0\.2/);
  const request = { from: "http://127.0.0.1:1", version: "9.0.0", workFolder: root, say: () => {} };
  await assert.rejects(fetchRelease(request), /127\.0\.0\.1:1\/v9\.0\.0\/SHA256SUMS: /);
});
