import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { cachedServers, cacheFolder, keep, withCacheLock, withWorkFolder } from "./cache.ts";

const root = await mkdtemp(join(tmpdir(), "eddy-cache-"));
after(() => rm(root, { recursive: true, force: true }));

test("the cache is where each platform keeps caches, and EDDY_CACHE goes first", () => {
  assert.equal(cacheFolder({}, "linux", "/home/a"), "/home/a/.cache/eddyline");
  assert.equal(cacheFolder({ XDG_CACHE_HOME: "/x" }, "linux", "/home/a"), "/x/eddyline");
  assert.equal(cacheFolder({}, "darwin", "/Users/a"), "/Users/a/Library/Caches/eddyline");
  assert.equal(cacheFolder({ LOCALAPPDATA: "/l" }, "win32", "/u"), join("/l", "eddyline"));
  assert.equal(cacheFolder({ EDDY_CACHE: "/e", XDG_CACHE_HOME: "/x" }, "linux", "/h"), "/e");
});

test("C1: a binary is made aside and kept by a rename, the newest version is listed first", async () => {
  const folder = join(root, "kept");
  await mkdir(join(folder, ".new-old"), { recursive: true });
  await utimes(join(folder, ".new-old"), 0, 0);
  await withCacheLock(folder, assert.fail, async () => {
    for (const version of ["2.9.1", "2.15.1", "2.14.10"]) {
      await withWorkFolder(folder, async (workFolder) => {
        const binary = join(workFolder, "nats-server");
        await writeFile(binary, "");
        await keep(folder, binary, version);
      });
    }
  });
  const versions = (await cachedServers(folder)).map((path) => basename(path).split("-")[2]);
  assert.deepEqual(versions, ["2.15.1", "2.14.10", "2.9.1"]);
  const names = await readdir(folder);
  assert.ok(!names.includes(".new-old"), "what a killed process left is removed");
  assert.equal(names.length, 3, "no work folder and no lock is left");
});

test("C2: one is inside at a time, the others wait and say for whom", async () => {
  let inside = 0;
  const waitedFor: string[] = [];
  const work = () =>
    withCacheLock(
      join(root, "lock"),
      (pid) => waitedFor.push(pid),
      async () => {
        inside += 1;
        assert.equal(inside, 1);
        await new Promise((resolve) => setTimeout(resolve, 20));
        inside -= 1;
      },
    );
  await Promise.all([work(), work(), work()]);
  assert.equal(waitedFor.length, 2);
});

test("a lock whose process died, or that is very old, holds nobody up", async () => {
  const folder = join(root, "abandoned");
  await withCacheLock(folder, assert.fail, async () => {});
  await writeFile(join(folder, ".lock"), "999999999");
  assert.equal(
    await withCacheLock(
      folder,
      () => {},
      async () => "in",
    ),
    "in",
  );
  await writeFile(join(folder, ".lock"), String(process.pid));
  const longAgo = Date.now() / 1000 - 3600;
  await utimes(join(folder, ".lock"), longAgo, longAgo);
  assert.equal(
    await withCacheLock(
      folder,
      () => {},
      async () => "in",
    ),
    "in",
  );
});
