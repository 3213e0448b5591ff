// What `eddy replay` prints: what came of each event in a dry run, and the sums at the end.
import { counted, printable } from "../observe/index.ts";
import {
  emittedAs,
  type Replayed,
  type ReplayWay,
  type Rerun,
  type Span,
} from "../pipeline/index.ts";
import { brief, print } from "./output.ts";

const valueCharsMax = 200;
const eventsMax = 10_000; // in JSON
const failuresShown = 20;

/** Prints each event that leads to something, or keeps it for the JSON at the end. */
export function createDryRun(json: boolean) {
  const events: object[] = [];
  let more = 0;
  const keep = (event: object) => {
    if (events.length < eventsMax) events.push(event);
    else more++;
  };
  return {
    show(rerun: Rerun): void {
      if (!json) printRerun(rerun);
      else if (rerun.kind === "ran" || rerun.kind === "folded") keep(asJson(rerun)); // failures are told anyway
    },
    rest: () => ({ events, eventsLeftOut: more }),
  };
}

function printRerun(rerun: Rerun): void {
  for (const line of rerunLines(rerun)) print(`${rerun.position.seq}  ${line}`);
}

function rerunLines(rerun: Rerun): string[] {
  switch (rerun.kind) {
    case "folded": {
      const state = rerun.state === null ? "(removed)" : brief(rerun.state, valueCharsMax);
      return [`${printable(rerun.key)}  ${state}`];
    }
    case "failed":
      return [printable(`failed: ${rerun.code}: ${rerun.message}`)];
    case "ran":
      return rerun.emitted.map((effect) => {
        const { type, key, data } = emittedAs(effect);
        return `${printable(type)}  ${printable(key)}  ${brief(data, valueCharsMax)}`;
      });
    default:
      return [];
  }
}

function asJson(rerun: Extract<Rerun, { kind: "ran" | "folded" }>): object {
  const { seq } = rerun.position;
  if (rerun.kind === "folded") return { seq, key: rerun.key, state: rerun.state };
  return { seq, emitted: rerun.emitted.map(emittedAs) };
}

export function* replayedLines(
  told: Replayed,
  way: ReplayWay,
  { from, to }: Span,
): Generator<string> {
  const { read, run, duplicate, filtered, left, emitted, there, stored } = told;
  const as = told.as === told.handler ? "" : ` as ${told.as}`;
  yield printable(`${told.handler} (${told.version})${as}, positions ${from} to ${to}:`);
  yield `  read ${read}, run ${run}, duplicates ${duplicate}, filtered ${filtered}`;
  const failures = Object.values(told.failed).reduce((sum, count) => sum + count, 0);
  const codes = Object.entries(told.failed).map(([code, count]) => `${code} ${count}`);
  yield printable(`  failed ${failures}${failures === 0 ? "" : ` (${codes.join(", ")})`}`);
  const { unsettled, dead, expired } = left;
  if (unsettled + dead > 0)
    yield `  left to the handler: ${unsettled} that it has not handled yet, ${dead} with a dead letter (eddy dead replay)`;
  if (expired > 0)
    yield `  left: ${counted(expired, "event")} without an effect that may have expired when it was their turn`;
  if (way.kind === "into") yield `  stored ${stored}`;
  else
    yield `  ${way.kind === "effects" && !way.dry ? "emitted" : "would emit"} ${emitted}, already there ${there}, stored ${stored}`;
  for (const { seq, id, code, message } of told.failures.slice(0, failuresShown)) {
    const who = id === undefined ? "" : ` (id ${id})`;
    yield printable(`  ${seq}${who}: ${code}: ${message}`);
  }
  const more = failures - Math.min(told.failures.length, failuresShown);
  if (more > 0) yield `  … and ${more} more that failed`;
}
