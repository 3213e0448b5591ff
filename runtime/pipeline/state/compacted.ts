// Reading the compacted home for one handler: the last event of each entity, as it stood in the log.
// C1 Those of several types come in the order of the log. Of one type there is one an entity, and no order between them.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, readMessage, readRange } from "../../broker/index.ts";
import {
  type CloudEvent,
  decodeMessage,
  eventSubject,
  keyOf,
  parseHeaderBlock,
} from "../../events/index.ts";
import type { Original } from "../retry/parcel.ts";
import type { Cut } from "./cut.ts";
import { headersOf, isOlder, type Origin, originOf } from "./message.ts";
import { stateSubjectOfType } from "./names.ts";

/** A message as it is kept there. */
export interface Compacted extends Origin {
  readonly headers: Uint8Array;
  readonly data: Uint8Array;
}

const atOnce = 500;

/** The messages of all cuts in the order of the log. */
export async function* readCompacted(
  broker: Broker,
  cuts: readonly Cut[],
  isWanted: (origin: Origin) => boolean,
): AsyncGenerator<readonly Compacted[]> {
  const [only] = cuts;
  if (cuts.length === 1 && only !== undefined) {
    yield* readCut(broker, only, isWanted); // one message an entity: there is no order between them
    return;
  }
  const found: { readonly seq: number; readonly origin: Origin }[] = [];
  for (const cut of cuts) {
    for await (const chunk of readCut(broker, cut, isWanted)) {
      for (const { seq, position, createdMs, storedMs } of chunk)
        found.push({ seq, origin: { position, createdMs, storedMs } });
    }
  }
  found.sort((a, b) => (isOlder(a.origin, b.origin) ? -1 : 1));
  for (let at = 0; at < found.length; at += atOnce) {
    const some = found.slice(at, at + atOnce);
    const read = some.map(async ({ seq, origin }): Promise<Compacted[]> => {
      const stored = await readMessage(broker.nc, broker.state, { seq });
      // Gone: a newer event took its place, which stands in the log behind the cut.
      return stored?.headers === undefined
        ? []
        : [{ ...origin, headers: stored.headers, data: stored.data }];
    });
    yield (await Promise.all(read)).flat();
  }
}

async function* readCut(
  broker: Broker,
  { state, upTo }: Cut,
  isWanted: (origin: Origin) => boolean,
) {
  const subject = stateSubjectOfType(state.type);
  const range = { stream: broker.state, filter: `${subject}.*`, from: 1, to: upTo };
  for await (const chunk of readRange(broker, range)) {
    const found: (Compacted & { readonly seq: number })[] = [];
    for (const { natsSubject, seq, raw, headerLength } of chunk) {
      if (natsSubject.slice(0, natsSubject.lastIndexOf(".")) !== subject) continue;
      const headers = raw.subarray(0, headerLength);
      const origin = originOf(headers);
      if (origin === undefined || !isWanted(origin)) continue; // without one somebody else wrote it
      found.push({ ...origin, seq, headers, data: raw.subarray(headerLength) });
    }
    yield found;
  }
}

/** The event and its message in the log; undefined where the handler does not read its type. */
export function originalIn(
  { declaration }: Handler,
  { position, storedMs, data, ...compacted }: Compacted,
): { readonly event: CloudEvent; readonly original: Original } | undefined {
  const headers = headersOf(compacted.headers);
  const decoded = decodeMessage(headers && parseHeaderBlock(headers), data);
  if (!decoded.ok) return undefined;
  const event = Object.freeze(decoded.event);
  if (!declaration.from.some(({ type }) => type === event.type)) return undefined;
  const natsSubject = eventSubject(event.type, keyOf(event));
  const original = { position, natsSubject, timeMs: storedMs, data, ...(headers && { headers }) };
  return { event, original };
}
