// `npm test`, after the checks: all tests with Node's runner, on a nats-server that is looked for (or fetched) once.
// Arguments choose files by a part of their path: `npm test -- lanes`.
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { findNatsServer } from "../runtime/broker/local/index.ts";
import { compileForTests } from "./support/compiled.ts";

/** More than cores: tests on servers wait for disks, timers and processes half of the time. */
const concurrency = 3;

const root = resolve(import.meta.dirname, "..");
const wanted = process.argv.slice(2);
const sources = ["runtime", "handlers", "tests"]
  .flatMap((folder) =>
    readdirSync(resolve(root, folder), { recursive: true, encoding: "utf8" }).map(
      (name) => `${folder}/${name.replaceAll("\\", "/")}`,
    ),
  )
  .filter((path) => path.endsWith(".ts") && !path.includes("node_modules"));
const files = sources
  .filter((path) => path.endsWith(".test.ts") && !path.includes("/fixtures/"))
  .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
  .sort((a, b) => weightOf(b) - weightOf(a) || a.localeCompare(b));

if (files.length === 0) {
  console.error(`no test file has ${wanted.join(" or ")} in its path`);
  process.exit(1);
}
const { path: server } = await findNatsServer({ onProgress: console.log });
process.env.NATS_SERVER_BIN = server;
process.chdir(root);
// Not `node --test`: that sorts the files. Each runs in a process of its own, with these flags: none needs tsx.
process.execArgv.splice(0, Number.POSITIVE_INFINITY, "--import", await compileForTests(sources));
run({ files: files.map((path) => resolve(root, path)), concurrency })
  .on("test:fail", () => {
    process.exitCode = 1;
  })
  .compose(new spec())
  .pipe(process.stdout);

/** The long ones first, so that none is left alone at the end. */
function weightOf(path: string): number {
  if (path.startsWith("tests/container/")) return 3;
  if (!path.includes(".nats.")) return 0;
  return path.startsWith("tests/") ? 2 : 1;
}
