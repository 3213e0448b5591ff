// `npm run bench`: what the runtime costs, as ratios to what one would write without it, taken in one run.
// README.md beside this file says what each row measures and what it leaves out.
import { parseArgs } from "node:util";
import { type Bench, type Contest, runContest } from "./measure.ts";
import { installPeers } from "./peers.ts";
import { profileContest } from "./profile.ts";
import type { Row, RowSpec } from "./row.ts";
import { bootstrapContests } from "./rows/bootstrap.ts";
import { costsContests } from "./rows/costs.ts";
import { emitContests } from "./rows/emit.ts";
import { handleContests } from "./rows/handle.ts";
import { identitiesContests } from "./rows/identities.ts";
import { idleContests } from "./rows/idle.ts";
import { ingressContests } from "./rows/ingress.ts";
import { latencyContests } from "./rows/latency.ts";
import { moleculerContests } from "./rows/moleculer.ts";
import { projectionContests } from "./rows/projection.ts";
import { readsContests } from "./rows/reads.ts";
import { rebuildContests } from "./rows/rebuild.ts";
import { reloadContests } from "./rows/reload.ts";
import { scalingContests } from "./rows/scaling.ts";
import { createStores } from "./stores.ts";
import { tableOf } from "./table.ts";
import { buildWorkers } from "./workers.ts";

const families: readonly ((bench: Bench) => Contest[])[] = [
  handleContests,
  emitContests,
  projectionContests,
  rebuildContests,
  readsContests,
  costsContests,
  latencyContests,
  moleculerContests,
  ingressContests,
  idleContests,
  reloadContests,
  identitiesContests,
  bootstrapContests,
  scalingContests,
];

const { values: flags, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
  },
});

/** The rows of a contest whose name has one of the words. */
function wantedOf({ rows }: Contest): RowSpec[] {
  if (words.length === 0) return [...rows];
  return rows.filter(({ name }) => words.some((word) => name.includes(word)));
}

await using stores = createStores();
await using workers = await buildWorkers();
const size = flags.quick
  ? { rounds: 1, events: 2_000, warmUp: 0 }
  : { rounds: 5, events: 100_000, warmUp: 20_000 };
const bench: Bench = { quick: flags.quick, ...size, stores, workers };
const chosen = families
  .flatMap((family) => family(bench).map((contest, at) => ({ family, at, contest })))
  .filter(({ contest }) => wantedOf(contest).length > 0);
if (chosen.length === 0) throw new Error(`no row has ${words.join(" or ")} in its name`);
if (chosen.some(({ contest }) => contest.peers)) installPeers();

if (flags.profile) {
  for (const { family, at, contest } of chosen) {
    const makeContest = (profiled: Bench) => family(profiled)[at] as Contest;
    for (const way of new Set(wantedOf(contest).map(({ ours }) => ours))) {
      process.stdout.write(`${await profileContest(makeContest, way, bench)}\n`);
    }
  }
} else {
  const rows: Row[] = [];
  for (const { contest } of chosen) {
    rows.push(...(await runContest(contest, wantedOf(contest), bench.rounds, showProgress)));
  }
  showProgress("");
  process.stdout.write(flags.json ? `${JSON.stringify(rows, undefined, 2)}\n` : tableOf(rows));
}

/** One line that is overwritten, on a terminal only. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
