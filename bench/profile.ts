// One run of our worker under the profiler: self time by function, where it stands in the sources.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import type { Bench, Contest } from "./measure.ts";
import type { Workers } from "./workers.ts";

const linesMax = 40;
const root = resolve(import.meta.dirname, "..");

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
      readonly columnNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Measures our way of the contest once, and tells where its time went. */
export async function profileContest(
  makeContest: (bench: Bench) => Contest,
  way: string,
  bench: Bench,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "eddy-profile-"));
  const file = join(folder, "measured.cpuprofile");
  const run: Workers["run"] = (name, task) => bench.workers.run(name, task, { profile: file });
  const contest = makeContest({ ...bench, workers: { ...bench.workers, run } });
  const sample = await contest.measure(way, `${way}-profile`);
  const text = await selfTimes(JSON.parse(await readFile(file, "utf8")));
  await rm(folder, { recursive: true });
  const facts = Object.entries(sample).map(([name, value]) => `${name} ${value.toFixed(2)}`);
  return `${contest.rows[0]?.name}\n${facts.join(", ")} (with the profiler on)\n${text}`;
}

async function selfTimes({ nodes, samples, timeDeltas }: CpuProfile): Promise<string> {
  const spent = new Map<number, number>();
  for (const [at, id] of samples.entries()) {
    spent.set(id, (spent.get(id) ?? 0) + (timeDeltas[at] ?? 0));
  }
  const byPlace = new Map<string, number>();
  let busyUs = 0;
  const maps = createMaps();
  for (const { id, callFrame } of nodes) {
    const us = spent.get(id) ?? 0;
    if (callFrame.functionName !== "(idle)") busyUs += us;
    const place = `${callFrame.functionName || "(anonymous)"}  ${await maps.placeOf(callFrame)}`;
    byPlace.set(place, (byPlace.get(place) ?? 0) + us);
  }
  const lines = [...byPlace].sort(([, a], [, b]) => b - a).slice(0, linesMax);
  return lines
    .map(([place, us]) => {
      const share = place.startsWith("(idle)") ? "" : `${((us / busyUs) * 100).toFixed(1)} %`;
      return `${(us / 1_000).toFixed(1).padStart(8)} ms ${share.padStart(7)}  ${place}\n`;
    })
    .join("");
}

/** Places in the bundle, told as places in the sources. */
function createMaps() {
  const maps = new Map<string, Promise<TraceMap | undefined>>();
  const load = async (path: string) => {
    const text = await readFile(`${path}.map`, "utf8").catch(() => undefined);
    return text === undefined ? undefined : new TraceMap(text);
  };
  return {
    async placeOf(frame: CpuProfile["nodes"][number]["callFrame"]): Promise<string> {
      if (!frame.url.startsWith("file:")) return frame.url;
      const path = fileURLToPath(frame.url);
      const map = maps.get(path) ?? load(path);
      maps.set(path, map);
      const loaded = await map;
      if (loaded === undefined) return basename(path);
      const found = originalPositionFor(loaded, {
        line: frame.lineNumber + 1,
        column: frame.columnNumber,
      });
      if (found.source === null) return basename(path);
      return `${relative(root, resolve(path, "..", found.source))}:${found.line}`;
    },
  };
}
