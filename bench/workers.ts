// Worker processes: each measured run is one, fresh, from a bundle of `workers/`. Bundled because a thousand small
// files cost each start over a second; so a run is also what a container runs.
import { spawn } from "node:child_process";
import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { guardFolder } from "../tests/support/guard.ts";

export interface Workers extends AsyncDisposable {
  /** Runs `workers/<name>.ts` with a task to its end, and gives what it printed. `profile`: file for a CPU profile. */
  run<Result>(name: string, task: unknown, options?: { profile?: string }): Promise<Result>;
  /** The bundle's folder: source maps stand in it. */
  readonly folder: string;
}

export async function buildWorkers(): Promise<Workers> {
  const modules = join(import.meta.dirname, "node_modules"); // so that peers are found from there
  await mkdir(modules, { recursive: true });
  const folder = await mkdtemp(join(modules, ".built-"));
  const remove = guardFolder(folder);
  await build({
    entryPoints: [`${import.meta.dirname}/workers/*.ts`],
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    sourcemap: true,
    external: ["esbuild", "pino", "pino-pretty", "moleculer", "@moleculer/channels", "autocannon"],
    banner: { js: requireOfPackages },
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "warning",
  });
  return {
    folder,
    async run(name, task, { profile } = {}) {
      const file = join(folder, `${name}.mjs`);
      const env = profile === undefined ? {} : { BENCH_PROFILE: profile };
      return JSON.parse(await outputOf(file, JSON.stringify(task), env));
    },
    [Symbol.asyncDispose]: remove,
  };
}

async function outputOf(file: string, task: string, env: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, [file, task], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  let output = "";
  for await (const chunk of child.stdout) output += String(chunk);
  if (output === "") throw new Error(`${file} ended without a result; its task was ${task}`);
  return output;
}

/** Packages in CommonJS call `require`, which a module does not have. */
const requireOfPackages = `import { createRequire as createRequireOf } from "node:module"; const require = createRequireOf(import.meta.url);`;
