// Which part of the log is meant: positions and times as people write them, as sequences of the home stream.
// S1 What the log does not have any more is refused, and never left out silently.
import { type Broker, type StreamInfo, streamInfo } from "../../broker/index.ts";
import { EddyError, isRfc3339, parsePosition, positionText } from "../../events/index.ts";
import { firstSeqSince } from "../ledger/takeover.ts";

/** Sequences of the home stream, both inclusive. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

type Point =
  | { readonly kind: "first" }
  | { readonly kind: "now" }
  | { readonly kind: "seq"; readonly seq: number }
  | { readonly kind: "time"; readonly time: Date };

/**
 * The span that is meant. `to` is inclusive where it is a position, and exclusive where it is a time; without it the span ends
 * with what is stored now.
 * @throws EddyError `EDDY_REPLAY_RANGE` for what can be no span, `EDDY_REPLAY_GONE` where its beginning is gone.
 */
export async function spanOf(broker: Broker, from: string, to = "now"): Promise<Span> {
  const [begin, end] = [pointOf("--from", from, broker.home), pointOf("--to", to, broker.home)];
  const info = await streamInfo(broker.jsm, broker.home);
  if (info === undefined) {
    const text = `there is no stream ${broker.home} on this server: start the runtime once, or mend home.stream`;
    throw new EddyError("EDDY_HOME_MISSING", text);
  }
  refuseGone(info, begin, from);
  const { first_seq: first, last_seq: last } = info.state;
  const seqOf = async (point: Point) => {
    if (point.kind === "first") return Math.max(1, first);
    if (point.kind === "now") return last;
    if (point.kind === "seq") return point.seq;
    return await firstSeqSince(broker, broker.home, point.time);
  };
  const fromSeq = await seqOf(begin);
  const toSeq = Math.min(last, end.kind === "time" ? (await seqOf(end)) - 1 : await seqOf(end));
  if (fromSeq <= toSeq || last < first) return { from: fromSeq, to: toSeq };
  const what = `the log holds ${positionText({ stream: broker.home, seq: first })} to ${last}`;
  throw wrong(`nothing stands from ${from} to ${to}: ${what}`);
}

function pointOf(option: string, text: string, home: string): Point {
  if (text === "first" && option === "--from") return { kind: "first" };
  if (text === "now" && option === "--to") return { kind: "now" };
  const position = parsePosition(/^\d+$/.test(text) ? `${home}:${text}` : text);
  if (position !== undefined && position.seq > 0) {
    if (position.stream === home) return { kind: "seq", seq: position.seq };
    throw wrong(`${option} ${text.slice(0, 100)} is a position of another stream than ${home}`);
  }
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text;
  const date = new Date(time);
  if (isRfc3339(time) && !Number.isNaN(date.getTime())) return { kind: "time", time: date };
  const word = option === "--from" ? '"first"' : '"now"';
  throw wrong(
    `${option} must be ${word}, a position such as ${home}:123 or 123, or a time such as 2026-05-01T08:00:00Z, got ${JSON.stringify(text.slice(0, 100))}`,
  );
}

function refuseGone({ state, config }: StreamInfo, begin: Point, from: string): void {
  const { first_seq: first, first_ts: since } = state;
  if (first <= 1) return; // nothing was ever removed from the head
  const before =
    (begin.kind === "seq" && begin.seq < first) ||
    (begin.kind === "time" && begin.time.getTime() < Date.parse(since));
  if (!before) return;
  const stream = config.name;
  const text = `the log does not reach back to ${from}: it begins at ${positionText({ stream, seq: first })}, stored at ${since}. What was before is gone (home.retention). Begin there: --from first`;
  throw new EddyError("EDDY_REPLAY_GONE", text, { first, since });
}

function wrong(message: string): EddyError {
  return new EddyError("EDDY_REPLAY_RANGE", message);
}
