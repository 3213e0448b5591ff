// Entries without their values: what stands in a projection's bucket, as it is listed and searched.
import { type RangeReader, readRange } from "../broker/index.ts";
import { parseHeaderBlock, untoken } from "../events/index.ts";
import { marksIn } from "../pipeline/index.ts";

export interface Head {
  readonly seq: number;
  /** Size of the value; 0 where the entry is deleted. */
  readonly bytes: number;
  /** What the entry is found by. */
  readonly marks: string;
}

/** A message of the bucket's stream: an entry, or something beside the entries. */
export type Standing =
  | { readonly kind: "entry"; readonly key: string; readonly head: Head }
  | { readonly kind: "beside"; readonly natsSubject: string; readonly seq: number };

/** What stands above a sequence, in chunks, up to all that is there. What is replaced meanwhile comes in its new place.
 * `copies` begin the subjects of entries that count before they are put into their places (switched.ts). */
export async function* readHeads(
  reader: RangeReader,
  name: string,
  above: number,
  copies?: string,
): AsyncGenerator<Standing[]> {
  const places = `$KV.${name}.`;
  const keyOf = (natsSubject: string) => {
    const prefix = [places, copies].find((root) => root && natsSubject.startsWith(root));
    return prefix && untoken(natsSubject.slice(prefix.length));
  };
  const range = { stream: `KV_${name}`, filter: ">", from: above + 1, headersOnly: true } as const;
  for await (const chunk of readRange(reader, range)) {
    yield chunk.map(({ natsSubject, seq, raw, headerLength }): Standing => {
      const key = keyOf(natsSubject);
      if (key === undefined) return { kind: "beside", natsSubject, seq };
      const headers = parseHeaderBlock(raw.subarray(0, headerLength));
      const bytes = Number(headers.get("nats-msg-size")?.[0] ?? 0);
      return { kind: "entry", key, head: { seq, bytes, marks: marksIn(headers) } };
    });
  }
}

/** How many entries are not deleted. */
export async function countLive(reader: RangeReader, name: string): Promise<number> {
  let live = 0;
  for await (const chunk of readHeads(reader, name, 0)) {
    for (const standing of chunk) if (standing.kind === "entry" && standing.head.bytes > 0) live++;
  }
  return live;
}
