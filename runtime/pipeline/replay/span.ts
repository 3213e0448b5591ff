// Which part of the log is meant: positions and times as people write them, as a stretch of each stream that the handler
// reads.
// S1 What the log does not have any more is refused, and never left out silently. S2 A position of one stream means for the
// others what was stored before it, and what was stored since.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, type StreamInfo, streamInfo } from "../../broker/index.ts";
import { EddyError, type Position, positionText } from "../../events/index.ts";
import { storedMsOf, type UpTo, upToBefore, upToPosition, upToTime } from "../log/moment.ts";
import { inputsOfAll, type LogRange } from "../log/read-log.ts";
import { readMoment } from "../log/when.ts";

/** A stretch of each stream, the home stream first. */
export type Span = readonly [LogRange, ...LogRange[]];

type Point =
  | { readonly kind: "first" }
  | { readonly kind: "now" }
  | { readonly kind: "position"; readonly position: Position }
  | { readonly kind: "time"; readonly time: Date };

/**
 * The span that is meant, of these versions of a handler. `to` is inclusive where it is a position, and exclusive where it is a time; without it the span ends
 * with what is stored now.
 * @throws EddyError `EDDY_REPLAY_RANGE` for what can be no span, `EDDY_REPLAY_GONE` where its beginning is gone.
 */
export async function spanOf(
  broker: Broker,
  versions: readonly Handler[],
  from: string,
  to = "now",
): Promise<Span> {
  const streams = inputsOfAll(versions, broker.home);
  const [begin, end] = [pointOf("--from", from, streams), pointOf("--to", to, streams)];
  const infos = await Promise.all(streams.map((stream) => infoOf(broker, stream)));
  for (const info of infos) refuseGone(info, begin, from);
  if (begin.kind === "position") await refuseOthersGone(broker, infos, begin.position, from);
  const before = await upToFrom(broker, streams, begin);
  const upTo = await upToEnd(broker, streams, end);
  const [home, ...further] = infos.map(({ config: { name: stream }, state }): LogRange => {
    const { first_seq: first, last_seq: last } = state;
    const begins = before === undefined ? Math.max(1, first) : (before.get(stream) ?? 0) + 1;
    return { stream, from: begins, to: Math.min(last, upTo?.get(stream) ?? last) };
  });
  if (home === undefined) throw new RangeError("bug: a handler without a stream");
  const span: Span = [home, ...further];
  if (span.some((range) => range.from <= range.to) || infos.every(isEmpty)) return span;
  const what = infos.filter((info) => !isEmpty(info)).map(heldText);
  throw wrong(`nothing stands from ${from} to ${to}: the log holds ${what.join(", and ")}`);
}

/** What stands before the span; undefined where nothing does. */
async function upToFrom(
  broker: Broker,
  streams: readonly string[],
  point: Point,
): Promise<UpTo | undefined> {
  if (point.kind === "position") return await upToBefore(broker, streams, point.position);
  if (point.kind === "time") return await upToTime(broker, streams, point.time.getTime() - 1);
  return undefined;
}

/** What stands in it and before it; undefined where that is all. */
async function upToEnd(
  broker: Broker,
  streams: readonly string[],
  point: Point,
): Promise<UpTo | undefined> {
  if (point.kind === "position") return await upToPosition(broker, streams, point.position);
  if (point.kind === "time") return await upToTime(broker, streams, point.time.getTime() - 1);
  return undefined;
}

async function infoOf(broker: Broker, stream: string): Promise<StreamInfo> {
  const info = await streamInfo(broker.jsm, stream);
  if (info !== undefined) return info;
  const [code, advice] =
    stream === broker.home
      ? ["EDDY_HOME_MISSING", "start the runtime once, or mend home.stream"]
      : ["EDDY_STREAM_MISSING", "the handler names it in streams: create it, or take it out there"];
  throw new EddyError(code, `there is no stream ${stream} on this server: ${advice}`);
}

function isEmpty({ state: { first_seq: first, last_seq: last } }: StreamInfo): boolean {
  return last < first;
}

function heldText({ config: { name: stream }, state }: StreamInfo): string {
  return `${positionText({ stream, seq: state.first_seq })} to ${state.last_seq}`;
}

function pointOf(option: string, text: string, streams: readonly string[]): Point {
  const [home = ""] = streams;
  if (text === "first" && option === "--from") return { kind: "first" };
  if (text === "now" && option === "--to") return { kind: "now" };
  const when = readMoment(text, home, Date.now());
  const word = option === "--from" ? '"first"' : '"now"';
  if (typeof when === "string") throw wrong(`${option} is ${word}, or ${when}`);
  if (when.kind === "time") return { kind: "time", time: new Date(when.atMs) };
  const { position } = when;
  if (position.seq > 0 && streams.includes(position.stream)) return { kind: "position", position };
  const what =
    position.seq > 0
      ? `a position of another stream than ${streams.join(" and ")}`
      : "no position: the first one is 1";
  throw wrong(`${option} ${text.slice(0, 100)} is ${what}`);
}

function refuseGone(info: StreamInfo, begin: Point, from: string): void {
  const { state, config } = info;
  const { first_seq: first, first_ts: since } = state;
  if (first <= 1) return; // nothing was ever removed from the head
  const before =
    (begin.kind === "position" &&
      begin.position.stream === config.name &&
      begin.position.seq < first) ||
    (begin.kind === "time" && begin.time.getTime() < Date.parse(since));
  if (before) throw gone(info, from);
}

async function refuseOthersGone(
  broker: Broker,
  infos: readonly StreamInfo[],
  position: Position,
  from: string,
): Promise<void> {
  const others = infos.filter(({ config }) => config.name !== position.stream);
  if (others.length === 0) return;
  const time = new Date(await storedMsOf(broker, position));
  for (const info of others) refuseGone(info, { kind: "time", time }, from);
}

function gone({ state, config: { name: stream } }: StreamInfo, from: string): EddyError {
  const { first_seq: first, first_ts: since } = state;
  const text = `the log does not reach back to ${from}: it begins at ${positionText({ stream, seq: first })}, stored at ${since}. What was before is gone (home.retention). Begin there: --from first`;
  return new EddyError("EDDY_REPLAY_GONE", text, { first, since });
}

function wrong(message: string): EddyError {
  return new EddyError("EDDY_REPLAY_RANGE", message);
}
