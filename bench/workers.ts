// Worker processes: each measured run is one, fresh, from a bundle of `workers/`. Bundled because a thousand small
// files cost each start over a second; so a run is also what a container runs.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { guardFolder, guardProcess } from "../tests/support/guard.ts";

export interface Workers extends AsyncDisposable {
  /** Runs `workers/<name>.ts` with a task to its end, and gives what it printed. `profile`: file for a CPU profile. */
  run<Result>(name: string, task: unknown, options?: { profile?: string }): Promise<Result>;
  /** Starts a worker that serves until the scope's end, and waits for the one line that says where. */
  serve(name: string, task: unknown): Promise<Served>;
}

export interface Served extends AsyncDisposable {
  readonly pid: number;
  readonly said: string;
}

/** Processes run this file with flags of Node's and its own arguments. */
interface Launch {
  readonly file: string;
  readonly args?: readonly string[];
  readonly nodeFlags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const root = resolve(import.meta.dirname, "..");

export async function buildWorkers(): Promise<Workers> {
  const modules = join(import.meta.dirname, "node_modules"); // so that peers are found from there
  await mkdir(modules, { recursive: true });
  const folder = await mkdtemp(join(modules, ".built-"));
  const remove = guardFolder(folder);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await build({
    // As in `npm run build`: a thread's code is found two folders below the root, from the chunk that starts it.
    entryPoints: [`${root}/bench/workers/*.ts`, `${root}/runtime/modules/isolation/worker.ts`],
    outbase: root,
    outdir: folder,
    chunkNames: "runtime/chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    sourcemap: true,
    external: [
      "esbuild",
      "pino",
      "pino-pretty",
      "eddyline",
      "moleculer",
      "@moleculer/channels",
      "autocannon",
    ],
    banner: { js: requireOfPackages },
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "warning",
  });
  const launchOf = (name: string, task: unknown): Launch => {
    return { file: join(folder, `bench/workers/${name}.js`), args: [JSON.stringify(task)] };
  };
  return {
    async run(name, task, { profile } = {}) {
      const env = profile === undefined ? {} : { BENCH_PROFILE: profile };
      return JSON.parse(await outputOf({ ...launchOf(name, task), env }));
    },
    serve: (name, task) => serve(launchOf(name, task)),
    [Symbol.asyncDispose]: remove,
  };
}

/** What a process prints until it ends. */
export async function outputOf(launch: Launch): Promise<string> {
  const child = start(launch);
  const exited = once(child, "exit");
  const release = guardProcess(child.pid ?? 0);
  let output = "";
  for await (const chunk of child.stdout ?? []) output += String(chunk);
  const [code] = await exited;
  release();
  if (code !== 0) throw new Error(`${launch.file} ended in ${code}; its task: ${launch.args}`);
  return output;
}

/** A process that says a line and runs until the scope's end. */
export async function serve(launch: Launch): Promise<Served> {
  const child = start(launch);
  const exited = once(child, "exit");
  const release = guardProcess(child.pid ?? 0);
  const line = new Promise<string>((resolve, reject) => {
    createInterface(child.stdout ?? process.stdin).once("line", resolve);
    child.once("exit", () => reject(new Error(`${launch.file} ended before it served`)));
  });
  return {
    pid: child.pid ?? 0,
    said: await line,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
      release();
    },
  };
}

function start({ file, args = [], nodeFlags = [], env = {} }: Launch): ChildProcess {
  return spawn(process.execPath, [...nodeFlags, file, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
}

/** Packages in CommonJS call `require`, which a module does not have. */
const requireOfPackages = `import { createRequire as createRequireOf } from "node:module"; const require = createRequireOf(import.meta.url);`;
