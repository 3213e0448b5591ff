import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const reloads = 1_000;
const growthBytesMax = 10_000_000;

test("E1: a thousand reloads leave nothing behind", async (t) => {
  const child = spawn(
    process.execPath,
    [
      "--expose-gc",
      "--import",
      "tsx",
      fileURLToPath(import.meta.resolve("./support/reloads.ts")),
      String(reloads),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const output: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text) => output.push(text));
  const [code] = await once(child, "close");
  const lines = output.join("").trim().split("\n");
  for (const line of lines) t.diagnostic(line);
  assert.equal(code, 0);
  const { growthBytes } = JSON.parse(lines.at(-1) ?? "");
  assert(growthBytes < growthBytesMax, `${growthBytes} bytes stayed after ${reloads} reloads`);
});
