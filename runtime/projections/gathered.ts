// Reads of entries that are asked for together, in one request.
// G1 A read is answered from a request that was sent after it was asked: what is asked while one is under way waits for
// the next. G2 Every read has its own answer: what one fails with, or an answer lacks, does not touch the others.
import {
  createLastOfEach,
  type NatsConnection,
  readMessage,
  type StoredMessage,
  subjectCharsMax,
  subjectsMax,
} from "../broker/index.ts";

export type Stored = Pick<StoredMessage, "seq" | "time" | "data">;

/** Reads the last message of a subject. `single`: streams whose replicas answer, too, are asked for each by itself. */
export type ReadLast = (
  stream: string,
  natsSubject: string,
  single: boolean,
) => Promise<Stored | undefined>;

interface Waiter {
  readonly resolve: (stored: Promise<Stored | undefined> | Stored | undefined) => void;
  readonly reject: (cause: unknown) => void;
}

/** What is asked of one stream, by subject: readers of one entry share its place in the request. */
interface Line {
  readonly waiting: Map<string, Waiter[]>;
  busy: boolean;
}

export function createGathered(nc: NatsConnection): ReadLast {
  const lines = new Map<string, Line>();
  const readLastOfEach = createLastOfEach(nc);
  const readOne = (stream: string, last_by_subj: string) =>
    readMessage(nc, stream, { last_by_subj });

  async function drain(stream: string, line: Line): Promise<void> {
    while (line.waiting.size > 0) {
      const asked = take(line.waiting);
      if (asked.size === 1) await each(stream, asked);
      else await together(stream, line, asked);
    }
    lines.delete(stream);
  }

  async function together(stream: string, line: Line, asked: Map<string, Waiter[]>): Promise<void> {
    const { found, end } = await readLastOfEach(stream, [...asked.keys()]);
    for (const [natsSubject, stored] of found) {
      for (const { resolve } of asked.get(natsSubject) ?? []) resolve(stored);
      asked.delete(natsSubject);
    }
    switch (end.kind) {
      case "whole":
        for (const { resolve } of [...asked.values()].flat()) resolve(undefined);
        return;
      case "more":
        for (const [natsSubject, waiters] of asked) add(line.waiting, natsSubject, waiters);
        return;
      case "unable":
        return await each(stream, asked);
      case "silent":
        for (const { reject } of [...asked.values()].flat()) reject(end.cause);
    }
  }

  async function each(stream: string, asked: ReadonlyMap<string, Waiter[]>): Promise<void> {
    const answers = Array.from(asked, async ([natsSubject, waiters]) => {
      const stored = readOne(stream, natsSubject);
      for (const { resolve } of waiters) resolve(stored); // it settles alike, each for itself
      await stored.catch(() => {});
    });
    await Promise.all(answers);
  }

  return (stream, natsSubject, single) => {
    if (single) return readOne(stream, natsSubject);
    return new Promise((resolve, reject) => {
      const line = lines.get(stream) ?? { waiting: new Map(), busy: false };
      lines.set(stream, line);
      add(line.waiting, natsSubject, [{ resolve, reject }]);
      if (line.busy) return;
      line.busy = true;
      setImmediate(() => void drain(stream, line)); // what this turn of the event loop still asks comes along
    });
  };
}

function add(waiting: Map<string, Waiter[]>, natsSubject: string, waiters: Waiter[]): void {
  const known = waiting.get(natsSubject);
  if (known === undefined) waiting.set(natsSubject, waiters);
  else known.push(...waiters);
}

/** As many as one request holds. */
function take(waiting: Map<string, Waiter[]>): Map<string, Waiter[]> {
  const taken = new Map<string, Waiter[]>();
  let chars = 0;
  for (const [natsSubject, waiters] of waiting) {
    chars += natsSubject.length;
    if (taken.size === subjectsMax || (taken.size > 0 && chars > subjectCharsMax)) break;
    taken.set(natsSubject, waiters);
    waiting.delete(natsSubject);
  }
  return taken;
}
