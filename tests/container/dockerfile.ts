// Reads a Dockerfile and performs its steps in a folder, for machines without a container engine. This
// machine plays the base images: there is no chroot, so RUN commands must not name absolute paths.
// D1 An instruction or flag that it does not know is an error, never skipped.
import { execFile } from "node:child_process";
import { cp, mkdir, readFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { promisify } from "node:util";

type Step = { readonly instruction: string; readonly rest: string };
export type Stage = {
  readonly base: string;
  readonly name: string;
  readonly steps: readonly Step[];
};

/** What the last stage comes to: a root folder, and how to run what is in it. */
export type Image = {
  readonly root: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly healthcheck: readonly string[];
  readonly command: readonly string[];
  readonly stopSignal: string;
};

export function parseDockerfile(text: string, args: Record<string, string> = {}): Stage[] {
  const defaults: Record<string, string> = {};
  const stages: { base: string; name: string; steps: Step[] }[] = [];
  for (const line of joinedLines(text)) {
    const [, instruction = "", rest = ""] = /^(\S+)\s+(.*)$/s.exec(line) ?? [];
    if (instruction === "FROM") {
      const [base = "", , name = String(stages.length)] = rest.split(/\s+/);
      stages.push({ base: expand(base, { ...defaults, ...args }), name, steps: [] });
    } else if (stages.length === 0 && instruction === "ARG") {
      const [name = "", value = ""] = rest.split("=");
      defaults[name] = value;
    } else {
      stages.at(-1)?.steps.push({ instruction, rest });
    }
  }
  return stages;
}

function joinedLines(text: string): string[] {
  const withoutComments = text.replace(/^\s*#.*\n/gm, "");
  const joined = withoutComments.replace(/\\\n\s*/g, "");
  return joined.split("\n").filter((line) => line.trim() !== "");
}

function expand(text: string, values: Record<string, string>): string {
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
}

/** Performs all stages in `folder` with `context` as the build context; the last one is the image. */
export async function build(
  stages: readonly Stage[],
  context: string,
  folder: string,
): Promise<Image> {
  const roots = new Map<string, string>();
  const ignored = await ignoredNames(context);
  let image: Image | undefined;
  for (const stage of stages) {
    const root = join(folder, stage.name);
    await mkdir(root, { recursive: true });
    image = await perform(stage, root, (from) => sourceOf(from, roots, context, ignored));
    roots.set(stage.name, root);
  }
  if (image === undefined) throw new Error("the Dockerfile has no FROM");
  return image;
}

type Source = { readonly root: string; readonly includes: (path: string) => boolean };

function sourceOf(
  from: string | undefined,
  roots: ReadonlyMap<string, string>,
  context: string,
  ignored: ReadonlySet<string>,
): Source {
  if (from === undefined) {
    const top = (path: string) => relative(context, path).split("/")[0] ?? "";
    return { root: context, includes: (path) => !ignored.has(top(path)) };
  }
  const root = roots.get(from);
  if (root === undefined) throw new Error(`COPY --from=${from}: no such stage`);
  return { root, includes: () => true };
}

async function ignoredNames(context: string): Promise<Set<string>> {
  const lines = (await readFile(join(context, ".dockerignore"), "utf8"))
    .split("\n")
    .filter(Boolean);
  const pattern = lines.find((line) => /[*?!/#]/.test(line));
  if (pattern !== undefined)
    throw new Error(`.dockerignore: only plain names here, not ${pattern}`);
  return new Set(lines);
}

type State = {
  workdir: string;
  env: Record<string, string>;
  user: string;
  healthcheck: string[];
  entrypoint: string[];
  cmd: string[];
  stopSignal: string;
};

async function perform(
  stage: Stage,
  root: string,
  source: (from: string | undefined) => Source,
): Promise<Image> {
  const state: State = {
    workdir: "/",
    env: {},
    user: "root",
    healthcheck: [],
    entrypoint: [],
    cmd: [],
    stopSignal: "SIGTERM",
  };
  for (const step of stage.steps) await performStep(step, state, root, source);
  const { entrypoint, cmd, ...image } = state;
  return { ...image, root, command: [...entrypoint, ...cmd] };
}

async function performStep(
  { instruction, rest }: Step,
  state: State,
  root: string,
  source: (from: string | undefined) => Source,
): Promise<void> {
  switch (instruction) {
    case "WORKDIR":
      state.workdir = rest;
      await mkdir(join(root, rest), { recursive: true });
      return;
    case "ENV":
      for (const pair of rest.split(/\s+/)) {
        const [name = "", ...value] = pair.split("=");
        state.env[name] = value.join("=");
      }
      return;
    case "USER":
      state.user = rest;
      return;
    case "STOPSIGNAL":
      state.stopSignal = rest;
      return;
    case "ENTRYPOINT":
      state.entrypoint = execForm(rest);
      return;
    case "CMD":
      state.cmd = execForm(rest);
      return;
    case "HEALTHCHECK":
      state.healthcheck = execForm(rest.replace(/^.*?CMD\s+/, ""));
      return;
    case "EXPOSE":
      return;
    case "RUN":
      return runStep(rest, join(root, state.workdir), state.env);
    case "COPY":
      return copyStep(rest, root, state.workdir, source);
    default:
      throw new Error(`D1: the instruction ${instruction} is not known here`);
  }
}

function execForm(text: string): string[] {
  const words: unknown = JSON.parse(text);
  if (!Array.isArray(words)) throw new Error(`not in exec form: ${text}`);
  return words.map(String);
}

async function runStep(command: string, cwd: string, env: Record<string, string>): Promise<void> {
  // Not the variables of the npm and the test runner around this: they would speak of another project.
  const around = /^(npm_(?!config_)|npm_config_local_prefix$|NODE_TEST_CONTEXT$)/;
  const own = Object.entries(process.env).filter(([name]) => !around.test(name));
  // On the developer's machine, npm's cache holds all that the lock file names.
  const all = { ...Object.fromEntries(own), npm_config_prefer_offline: "true", ...env };
  await promisify(execFile)("sh", ["-c", command], { cwd, env: all, maxBuffer: 64 << 20 });
}

async function copyStep(
  rest: string,
  root: string,
  workdir: string,
  source: (from: string | undefined) => Source,
): Promise<void> {
  const words = rest.split(/\s+/);
  const flags = words.filter((word) => word.startsWith("--"));
  const unknown = flags.find((flag) => !flag.startsWith("--from="));
  if (unknown !== undefined) throw new Error(`D1: COPY ${unknown} is not known here`);
  const from = source(flags[0]?.slice("--from=".length));
  const paths = words.slice(flags.length);
  const to = paths.pop() ?? "";
  const target = join(root, to.startsWith("/") ? to : join(workdir, to));
  for (const path of paths) {
    // As in Docker, a folder's contents are copied, and a file goes into a target that ends in "/".
    const name = to.endsWith("/") && !path.endsWith("/") ? basename(path) : "";
    await cp(join(from.root, path), join(target, name), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (file) => from.includes(file),
    });
  }
}
