// What a thread of an isolated module starts with: the built file, or a bundle of the sources, made once a process.
// A loader in each thread would compile the same files again and again: it takes ten times as long as this.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "./esbuild.ts";

export type WorkerCode = { readonly file: URL } | { readonly code: string };

let made: Promise<WorkerCode> | undefined;

export function workerCode(): Promise<WorkerCode> {
  made ??= makeOnce();
  return made;
}

// Two folders below the root, in the sources and where it is built.
const built = new URL("../modules/isolation/worker.js", import.meta.url);

async function makeOnce(): Promise<WorkerCode> {
  if (existsSync(built)) return { file: built };
  const result = await build({
    entryPoints: [fileURLToPath(new URL("../modules/isolation/worker.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "cjs",
    platform: "node",
    target: "node20",
    // From where the runtime's own packages are found.
    define: { "import.meta.url": JSON.stringify(import.meta.url) },
    logLevel: "silent",
  });
  return { code: result.outputFiles[0]?.text ?? "" };
}
