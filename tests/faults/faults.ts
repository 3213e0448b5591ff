// `npm run faults`: real servers and real runtimes, hurt on purpose, and the count of what came of each event.
// Words choose faults (`npm run faults -- zombie`); `--seed` repeats a run; `--quick` and `--json` as everywhere.
import { parseArgs } from "node:util";
import type { Fault, Row } from "./fault.ts";
import { faults } from "./kinds/index.ts";
import { asLine, asTable } from "./report.ts";
import { runFault } from "./run.ts";
import { sideBySide } from "./side-by-side.ts";

const options = {
  seed: { type: "string" },
  quick: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

/** On two cores. Small loads wait for timers, starts and the disk more than half of the time. */
const lanes = { quick: 4, full: 2 };

async function main(): Promise<number> {
  const { values, positionals: words } = parseArgs({ options, allowPositionals: true });
  const seed =
    values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  if (!Number.isSafeInteger(seed)) return refuse(`--seed takes a whole number, got ${values.seed}`);
  const chosen = faults.filter(({ name, fullOnly = false }) =>
    words.length === 0 ? !(values.quick && fullOnly) : words.some((word) => name.includes(word)),
  );
  const names = faults.map(({ name }) => name).join(", ");
  if (chosen.length === 0)
    return refuse(`no fault is called ${words.join(" or ")}; there are: ${names}`);
  const { quick, json } = values;
  const say = json ? () => {} : (line: string) => void process.stderr.write(`${line}\n`);
  say(`seed ${seed}: ${chosen.length} faults${quick ? ", quick" : ""}`);
  const one = async (fault: Fault): Promise<Row> => {
    const row = await runFault(fault, { seed, quick });
    say(asLine(row));
    return row;
  };
  const rows = await sideBySide(chosen, quick ? lanes.quick : lanes.full, one);
  process.stdout.write(json ? `${JSON.stringify(rows)}\n` : asTable(rows));
  return rows.every(({ holds }) => holds) ? 0 : 1;
}

function refuse(text: string): number {
  process.stderr.write(`${text}\n`);
  return 2;
}

// What is set for another runtime would reach these.
for (const name of Object.keys(process.env)) {
  if (name.startsWith("EDDY_") && name !== "EDDY_CACHE") delete process.env[name];
}
process.exit(await main());
