import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const demo = resolve(import.meta.dirname, "demo.ts");

test("npm run demo: two passes of GitHub's deliveries, the second without any effect", async () => {
  const { stdout } = await run(process.execPath, ["--import", "tsx", demo, "--json"]);
  const { passes, handlers, projections, dead, ...rest } = JSON.parse(stdout);
  assert.deepEqual(rest, {});
  assert.deepEqual(passes, [
    { sent: 329, stored: 329, duplicates: 0 },
    { sent: 329, stored: 0, duplicates: 329 },
  ]);
  assert.equal(dead, 0);
  for (const row of handlers) {
    const settled =
      row.handled + row.duplicate + row.filtered + row.expired + row.retrying + row.dead;
    assert.equal(row.delivered, settled, row.name);
    assert.equal(row.lag, 0, row.name);
  }
  const handled = new Map(
    handlers.map((row: { name: string; handled: number }) => [row.name, row.handled]),
  );
  assert.equal(handled.get("github/issues.requestTriage"), 4);
  const entries = new Map(
    projections.map((p: { name: string; entries: number }) => [p.name, p.entries]),
  );
  assert.deepEqual(
    ["repositories", "issues", "pull_requests"].map((name) => entries.get(name)),
    [2, 2, 1],
  );
});
