import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const root = new URL("../../", import.meta.url);

/** Variables, not errors. */
const variables = new Set(["EDDY_CACHE"]);

test("docs/errors.md explains every code of the source once, and no other", () => {
  const sources = readdirSync(new URL("runtime", root), { recursive: true, encoding: "utf8" });
  const used = new Set<string>();
  for (const file of sources.filter((name) => /(?<!\.test)\.ts$/.test(name))) {
    const text = readFileSync(new URL(`runtime/${file}`, root), "utf8");
    for (const [, code = ""] of text.matchAll(/"(EDDY_[A-Z_]+)"/g)) used.add(code);
  }
  const docs = readFileSync(new URL("docs/errors.md", root), "utf8");
  const rows = [...docs.matchAll(/^\| `(EDDY_[A-Z_]+)` \|/gm)].map(([, code = ""]) => code);
  const explained = new Set(rows);
  assert.equal(explained.size, rows.length, "a code stands there twice");
  const unexplained = [...used].filter((code) => !explained.has(code) && !variables.has(code));
  const unknown = [...explained].filter((code) => !used.has(code));
  assert.deepEqual({ unexplained, unknown }, { unexplained: [], unknown: [] });
});
