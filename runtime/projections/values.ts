// The values of a page of entries, in one request to the server.
// V1 What is given is never older than the page: where a replica lags, the leader is asked. V2 An entry that is gone by
// now, or does not fit any more, is left out.
import { hasMarks } from "../authoring/index.ts";
import { type RangeReader, readMessage } from "../broker/index.ts";
import { parseHeaderBlock, token } from "../events/index.ts";
import { marksIn, marksName } from "../pipeline/index.ts";
import type { Listed } from "./directory.ts";
import { type Entry, parseEntry } from "./entry.ts";

interface Found {
  readonly seq: number;
  readonly time: Date;
  readonly data: Uint8Array;
  readonly marks: string;
}

const waitMs = 10_000;

export async function readValues(
  reader: RangeReader,
  name: string,
  listed: readonly Listed[],
  wanted: readonly string[],
): Promise<Entry[]> {
  const found = await readLast(
    reader,
    name,
    listed.map(({ key }) => subjectOf(name, key)),
  );
  const entries: Entry[] = [];
  for (const { key, head } of listed) {
    const near = found.get(subjectOf(name, key));
    const now =
      near !== undefined && near.seq >= head.seq ? near : await readOne(reader, name, key);
    if (now === undefined || now.data.byteLength === 0 || !hasMarks(now.marks, wanted)) continue;
    const { seq: revision, time, data } = now;
    entries.push({ key, value: parseEntry(name, key, data), revision, time });
  }
  return entries;
}

/** From any replica. */
async function readLast(
  { jsm }: RangeReader,
  name: string,
  subjects: string[],
): Promise<Map<string, Found>> {
  const found = new Map<string, Found>();
  if (subjects.length === 0) return found;
  const messages = await jsm.direct.getLastMessagesFor(`KV_${name}`, { multi_last: subjects });
  const timer = setTimeout(() => messages.stop(new Error("the answer did not end")), waitMs);
  try {
    for await (const { subject, seq, time, data, header } of messages) {
      found.set(subject, { seq, time, data, marks: header.get(marksName) });
    }
  } finally {
    clearTimeout(timer);
  }
  return found;
}

async function readOne({ nc }: RangeReader, name: string, key: string): Promise<Found | undefined> {
  const last_by_subj = subjectOf(name, key);
  const stored = await readMessage(nc, `KV_${name}`, { last_by_subj });
  const headers = parseHeaderBlock(stored?.headers ?? new Uint8Array(0));
  return stored && { ...stored, marks: marksIn(headers) };
}

function subjectOf(name: string, key: string): string {
  return `$KV.${name}.${token(key)}`;
}
