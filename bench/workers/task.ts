// What every worker does: takes its task, measures a span, prints the result, and ends.
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";

export function taskOf<Task>(): Task {
  return JSON.parse(process.argv[2] ?? "{}");
}

/** Runs the work on the task that the process was given, and ends the process with its result. */
export async function work<Task>(run: (task: Task) => Promise<object>): Promise<never> {
  const result = await run(taskOf());
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  return await new Promise(() => {});
}

/** Wall clock and processor time of this process. */
export interface Span {
  readonly ms: number;
  readonly cpuMs: number;
}

/** Begins a span; what it returns ends it. With `BENCH_PROFILE` the span is profiled into that file. */
export async function beginSpan(): Promise<() => Promise<Span>> {
  const stopProfile = await startProfile(process.env.BENCH_PROFILE);
  const began = performance.now();
  const cpu = process.cpuUsage();
  return async () => {
    const { user, system } = process.cpuUsage(cpu);
    const span = { ms: performance.now() - began, cpuMs: (user + system) / 1_000 };
    await stopProfile();
    return span;
  };
}

async function startProfile(file: string | undefined): Promise<() => Promise<void>> {
  if (file === undefined) return async () => {};
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: 100 });
  await session.post("Profiler.start");
  return async () => {
    const { profile } = await session.post("Profiler.stop");
    writeFileSync(file, JSON.stringify(profile));
  };
}
