// What `eddy replay` prints: what came of each event in a dry run, and the sums at the end.
import { type Position, positionText } from "../events/index.ts";
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

/** A span in JSON: of one stream as ever, of several all of them. */
export function spanJson(span: Span): object {
  const [{ from, to }] = span;
  return span.length === 1 ? { from, to } : { ranges: span };
}

/** Where an event stands, in JSON and as text: its sequence where one stream is read, else its position. */
export function placeJson(span: Span, { stream, seq }: Position): object {
  return span.length === 1 ? { seq } : { stream, seq };
}

export function placeText(span: Span, position: Position): string {
  return span.length === 1 ? String(position.seq) : positionText(position);
}

/** Prints each event that leads to something, or keeps it for the JSON at the end. */
export function createDryRun(span: Span, json: boolean) {
  const events: object[] = [];
  let more = 0;
  const keep = (event: object) => {
    if (events.length < eventsMax) events.push(event);
    else more++;
  };
  return {
    show(rerun: Rerun): void {
      if (!json) printRerun(span, rerun);
      else if (rerun.kind === "ran" || rerun.kind === "folded") keep(asJson(span, rerun)); // failures are told anyway
    },
    rest: () => ({ events, eventsLeftOut: more }),
  };
}

function printRerun(span: Span, rerun: Rerun): void {
  const place = placeText(span, rerun.position);
  for (const line of rerunLines(rerun)) print(`${place}  ${line}`);
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

function asJson(span: Span, rerun: Extract<Rerun, { kind: "ran" | "folded" }>): object {
  const place = placeJson(span, rerun.position);
  if (rerun.kind === "folded") return { ...place, key: rerun.key, state: rerun.state };
  return { ...place, emitted: rerun.emitted.map(emittedAs) };
}

export function replayedJson({ span, failures, ...told }: Replayed): object {
  const failed = failures.map(({ position, ...rest }) => {
    return { ...placeJson(span, position), ...rest };
  });
  return { ...told, ...spanJson(span), failures: failed };
}

export function* replayedLines(told: Replayed, way: ReplayWay): Generator<string> {
  const { read, run, duplicate, filtered, left, emitted, there, stored } = told;
  const as = told.as === told.handler ? "" : ` as ${told.as}`;
  const { span } = told;
  const stretches = span.map(({ stream, from, to }) => {
    return `${placeText(span, { stream, seq: from })} to ${to}`;
  });
  yield printable(`${told.handler} (${told.version})${as}, positions ${stretches.join(", ")}:`);
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
  for (const { position, id, code, message } of told.failures.slice(0, failuresShown)) {
    const who = id === undefined ? "" : ` (id ${id})`;
    yield printable(`  ${placeText(span, position)}${who}: ${code}: ${message}`);
  }
  const more = failures - Math.min(told.failures.length, failuresShown);
  if (more > 0) yield `  … and ${more} more that failed`;
}
