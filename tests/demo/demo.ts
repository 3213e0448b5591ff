// `npm run demo`: plays GitHub's recorded webhook deliveries to a runtime and a server of its own, twice, and shows
// that the second pass has no effect. With `-- --json` the result is for programs.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { connectBroker } from "../../runtime/broker/index.ts";
import { loadModules } from "../../runtime/modules/index.ts";
import { startNats } from "../support/nats.ts";
import { startNode } from "../support/node.ts";
import { deliveries } from "./deliveries.ts";
import { differences, type Effects, effectsWhenSettled, untilRunning } from "./effects.ts";
import { type Pass, play } from "./play.ts";
import { asJson, asTables, progressBar } from "./report.ts";

const root = resolve(import.meta.dirname, "../..");
const folder = resolve(root, "handlers");
const config = resolve(import.meta.dirname, "eddy.yaml");

/** Lines of the runtime's log that are shown where the demo fails. */
const lastWords = 10;

// What is set for another runtime would reach this one.
for (const name of Object.keys(process.env)) if (name.startsWith("EDDY_")) delete process.env[name];
try {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  process.exitCode = await demo(values.json);
} catch (error) {
  console.error(`the demo failed: ${reasonOf(error)}`);
  process.exitCode = 1;
}

async function demo(json: boolean): Promise<number> {
  const say = json ? () => {} : console.log;
  const { handlers, failures } = await loadModules(folder);
  if (failures.length > 0) throw new Error(failures.map((failure) => failure.message).join("\n"));
  await using nats = await startNats();
  const node = { nats, handlers: folder, env: { EDDY_CONFIG: config, EDDY_LOG_LEVEL: "info" } };
  await using runtime = await startNode(node);
  say(`nats-server at ${nats.url}, runtime at ${runtime.url}, store in ${nats.storeDir}`);
  const names = { app: "demo", home: "EVENTS" };
  const broker = await connectBroker(
    { servers: [nats.url], name: "demo", timeoutMs: 5_000 },
    names,
  );
  try {
    await untilRunning(
      broker,
      handlers.map((handler) => handler.name),
    );
    const passes: Pass[] = [];
    const readings: Effects[] = [];
    for (const title of ["first pass ", "second pass"]) {
      const bar = progressBar(title, deliveries.length, !json && process.stderr.isTTY === true);
      passes.push(await play(runtime.url, deliveries, bar.step).finally(bar.stop));
      const stored = passes.reduce((sum, pass) => sum + pass.stored, 0);
      readings.push(await effectsWhenSettled(broker, stored));
    }
    return conclude(passes, readings, json);
  } catch (error) {
    console.error(runtime.output().split("\n").slice(-lastWords).join("\n"));
    throw error;
  } finally {
    await broker.close();
  }
}

/** With the cause: fetch says no more than that it failed. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${reasonOf(error.cause)}`;
}

function conclude(passes: readonly Pass[], readings: readonly Effects[], json: boolean): number {
  const [first, second] = readings;
  if (first === undefined || second === undefined) throw new RangeError("a pass has no reading");
  const report = { passes, effects: second };
  console.log(json ? asJson(report) : asTables(report));
  const added = differences(first, second);
  if (added.length === 0) {
    if (!json) console.log("the second pass had no effect");
    return 0;
  }
  console.error(`the second pass had an effect:\n  ${added.join("\n  ")}`);
  return 1;
}
