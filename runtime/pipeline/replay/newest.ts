// What a changed version is tried with before it takes over: the newest events of its handler, and those that it has open
// letters of.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, readMessage, readRange, streamInfo } from "../../broker/index.ts";
import type { Position } from "../../events/index.ts";
import { wantedSubjects } from "../contract.ts";
import {
  createLook,
  filterOfAll,
  inputsOfAll,
  type LogMessage,
  type LogRange,
  type Seen,
} from "../log/read-log.ts";
import { noRepeats } from "../log/repeats-in.ts";
import { listLetters } from "../retry/letters.ts";

interface Stored {
  readonly position: Position;
  readonly storedMs: number;
}

const lookMax = 200_000; // messages of a stream: a handler of few events has none among them

/** The stretches that hold the last events of these versions, in all streams that they read. Repeats count as well. */
export async function lastEvents(
  broker: Broker,
  versions: readonly Handler[],
  events: number,
): Promise<LogRange[]> {
  const found: Stored[] = [];
  for (const stream of inputsOfAll(versions, broker.home))
    found.push(...(await lastIn(broker, versions, stream, events)));
  const last = found.sort((a, b) => a.storedMs - b.storedMs).slice(-events);
  const ranges = new Map<string, LogRange>();
  for (const { stream, seq } of last.map(({ position }) => position)) {
    const { from, to } = ranges.get(stream) ?? { from: seq, to: seq };
    ranges.set(stream, { stream, from: Math.min(from, seq), to: Math.max(to, seq) });
  }
  return [...ranges.values()];
}

/** Those of one stream, oldest first. */
async function lastIn(
  broker: Broker,
  versions: readonly Handler[],
  stream: string,
  events: number,
): Promise<Stored[]> {
  const info = await streamInfo(broker.jsm, stream);
  if (info === undefined) return [];
  const { first_seq: first, last_seq: last } = info.state;
  const lowest = Math.max(first, last - lookMax + 1);
  const filter = filterOfAll(versions);
  const wanted = versions.map((version) => wantedSubjects(version).types);
  const isWanted = (subject: string) => {
    const type = subject.slice(0, subject.lastIndexOf("."));
    return wanted.some((types) => types.has(type));
  };
  let found: Stored[] = [];
  let size = 2 * events;
  for (let to = last; to >= lowest && found.length < events; size *= 4) {
    const from = Math.max(lowest, to - size + 1);
    const part: Stored[] = [];
    for await (const chunk of readRange(broker, { stream, filter, from, to, headersOnly: true }))
      for (const { natsSubject, seq, storedMs } of chunk)
        if (isWanted(natsSubject)) part.push({ position: { stream, seq }, storedMs });
    found = [...part, ...found];
    to = from - 1;
  }
  return found.slice(-events);
}

const lettersMax = 1_000; // the newest
const readAtOnce = 64;

/** The events of open letters that the log still has, as a version sees them, some at a time. */
export async function* seenInLetters(
  broker: Broker,
  handler: string,
  next: Handler,
): AsyncGenerator<readonly Seen[]> {
  const letters = (await listLetters(broker, { handler })).slice(-lettersMax);
  const look = createLook({ broker, versions: [next], repeatsIn: () => noRepeats });
  for (let at = 0; at < letters.length; at += readAtOnce) {
    const some = letters.slice(at, at + readAtOnce).map(({ origin }) => messageAt(broker, origin));
    const messages = (await Promise.all(some)).filter((message) => message !== undefined);
    for await (const { seen } of look(messages)) yield seen[0] ?? [];
  }
}

async function messageAt(
  broker: Broker,
  { stream, seq }: Position,
): Promise<LogMessage | undefined> {
  const message = await readMessage(broker.nc, stream, { seq });
  if (message === undefined) return undefined;
  const headers = message.headers ?? new Uint8Array(0);
  const delivery = {
    natsSubject: message.natsSubject,
    seq,
    storedMs: message.time.getTime(),
    raw: Buffer.concat([headers, message.data]),
    headerLength: headers.byteLength,
  };
  return { stream, delivery };
}
