// One fault from start to verdict.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectBroker } from "../../runtime/broker/index.ts";
import { describeThrown } from "../../runtime/events/index.ts";
import { listLetters, readHandlers, reconcile } from "../../runtime/pipeline/index.ts";
import { eventually } from "../support/eventually.ts";
import type { Fault, Row, Size } from "./fault.ts";
import { type Counts, judge } from "./judge.ts";
import { readEntries, readLetters } from "./log.ts";
import { makePlan } from "./model.ts";
import { createRandom } from "./random.ts";
import { type FaultWorld, residentMb, startFaultWorld } from "./world.ts";

export interface RunOptions {
  readonly seed: number;
  readonly quick: boolean;
}

/** Memory may grow by this, and by what the identity index holds of each event. */
const growthMb = 120;
const bytesAnEvent = 100;

export async function runFault(fault: Fault, { seed, quick }: RunOptions): Promise<Row> {
  const size = quick ? fault.quick : fault.full;
  const began = performance.now();
  const common = () => ({
    fault: fault.name,
    seed,
    seconds: Math.round((performance.now() - began) / 100) / 10,
  });
  const reason = fault.impossible?.();
  if (reason !== undefined) {
    const notes = [`not run: ${reason}`];
    return { ...common(), ...nothing, injected: 0, events: 0, notes, holds: true };
  }
  try {
    const found = await runUnderLoad(fault, size, seed, quick);
    return { ...common(), ...found };
  } catch (error) {
    const notes = [`failed: ${describeThrown(error).message}`];
    return { ...common(), ...nothing, injected: 0, events: size.events, notes, holds: false };
  }
}

const nothing = {
  lost: null,
  doubled: null,
  disordered: null,
  miscounted: null,
  gapMs: null,
  rssMb: null,
} as const;

async function runUnderLoad(fault: Fault, size: Size, seed: number, quick: boolean) {
  const random = createRandom(seed).fork(fault.name);
  const plan = makePlan(random.fork("plan"), size);
  await using disk = await fault.disk?.();
  await using world = await startFaultWorld({
    plan,
    random: random.fork("faults"),
    disk,
    server: {
      ...fault.server,
      ...(disk === undefined ? {} : { storeDir: join(disk.path, "store") }),
    },
    env: fault.env ?? {},
    settleMs: quick ? 60_000 : 600_000,
  });
  const injected = await fault.run(world, size).catch((error: unknown) => {
    if (process.env.FAULTS_OUTPUT) process.stderr.write(world.output());
    throw error;
  });
  await world.settled();
  const judgement = await verdict(world, fault);
  const before = world.rssBeforeMb ?? residentNow(world);
  const bound = before + growthMb + (plan.size * bytesAnEvent) / 2 ** 20;
  const after = await restingMb(world, bound);
  const rssMb: [number, number] = [before, after];
  const tooMuch =
    after > bound ? [`memory went from ${before} to ${after} MB: ${await heapOf(world)}`] : [];
  const { lost, doubled, disordered, miscounted } = judgement;
  const sound = lost + doubled + disordered + miscounted === 0;
  const notes = [...world.notes, ...judgement.notes, ...tooMuch];
  const holds = sound && tooMuch.length === 0;
  if (!holds && process.env.FAULTS_OUTPUT) process.stderr.write(world.output());
  return { injected, events: plan.size, ...judgement, rssMb, notes, holds };
}

async function verdict(world: FaultWorld, fault: Fault) {
  const { nc, plan } = world;
  // A server that has just recovered a disk may answer late: how soon it does is not judged here.
  const { counts, findings, crashes } = await eventually(() => operatorsView(world.nats.url), {
    timeoutMs: 60_000,
    what: "that the server answers the judge",
  });
  const log = await world.harvest();
  const judgement = judge({
    plan,
    expected: world.expected(),
    log,
    letters: await readLetters(nc),
    lettersBefore: world.lettersBefore,
    lettersFrom: world.lettersFrom,
    entries: await readEntries(nc, "counts"),
    metBefore: world.metBefore,
    counts,
    findings: fault.findings === "expected" ? [] : findings,
  });
  return { ...judgement, notes: [...judgement.notes, ...crashes] };
}

/** What an operator sees: the counts, what `eddy reconcile` finds, and who is said to have ended the process. */
async function operatorsView(url: string) {
  const options = { servers: [url], name: "judge", timeoutMs: 10_000 };
  const broker = await connectBroker(options, { app: "eddy", home: "EVENTS" });
  try {
    const counts: Counts[] = await readHandlers(broker);
    const crashes = (await listLetters(broker))
      .filter(({ reason }) => reason === "crash")
      .map(
        ({ handler, origin, error }) =>
          `${handler} ${origin.seq} died of a crash: ${error.message}`,
      );
    const reconciled = await reconcile(broker, [], () => {});
    const findings = reconciled.flatMap(({ name, findings }) =>
      findings.map(({ text }) => `${name}: ${text}`),
    );
    return { counts, findings, crashes };
  } finally {
    await broker.close();
  }
}

const restMs = 30_000; // V8 gives back what an idle process does not need after some seconds

/** What the runtime that runs last has; where that is too much, once it has had nothing to do for a while. */
async function restingMb(world: FaultWorld, bound: number): Promise<number> {
  for (const end = performance.now() + restMs; performance.now() < end; await sleep(1_000)) {
    if (residentNow(world) <= bound) break;
  }
  return residentNow(world);
}

/** Of what its resident memory consists, by its own word. */
async function heapOf({ nodes }: FaultWorld): Promise<string> {
  const metrics = await (await fetch(`${nodes.at(-1)?.url}/metrics`)).text();
  const found = metrics.matchAll(/^nodejs_((?:heap|external)_\w+_bytes) (\d+)$/gm);
  return [...found]
    .map(([, name, bytes]) => `${name} ${Math.round(Number(bytes) / 1e6)}e6`)
    .join(", ");
}

function residentNow(world: FaultWorld): number {
  return Math.max(0, ...world.nodes.map(residentMb));
}
