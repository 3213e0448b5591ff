// Which positions of a stream repeat an earlier one, for whoever reads the log outside of a runtime: from the blocks that
// the runtime has stored, and from the log behind them. Stores nothing.
import { type Broker, identitiesStream, readRange, streamInfo } from "../../broker/index.ts";
import { allEvents, EddyError, isEventSubject } from "../../events/index.ts";
import { openCheckpoints } from "../identities/checkpoints.ts";
import { hashIdentity } from "../identities/hash.ts";
import { identityAt, peekIdentity } from "../identities/identity.ts";
import { createVerdicts, type Verdicts } from "../identities/verdicts.ts";
import { signal } from "../signal.ts";

/** As many identities as a runtime knows by default. */
const countMax = 1_000_000;

/** The first sequence of the identity that a position repeats; 0 where it is the first itself. */
export type RepeatOf = (seq: number) => number;

/** The repeats of one stream, for whoever reads it in stretches. */
export interface Repeats {
  /** Tells repeats up to a position. @throws EddyError `EDDY_READ_FAILED`, or the signal's reason. */
  upTo(to: number, signalled?: AbortSignal): Promise<RepeatOf>;
}

/** @throws EddyError `EDDY_READ_FAILED`, or the signal's reason. */
export async function readRepeats(
  broker: Broker,
  stream: string,
  to: number,
  signalled?: AbortSignal,
): Promise<RepeatOf> {
  return await openRepeats(broker, stream).upTo(to, signalled);
}

export function openRepeats(broker: Broker, stream: string): Repeats {
  let moved = signal<void>();
  let unread = false;
  const verdicts = createVerdicts({
    countMax,
    hash: hashIdentity,
    readIdentity: (seq) => identityAt(broker, stream, seq),
    onPassed: () => moved.resolve(),
    onUnread() {
      unread = true;
      moved.resolve();
    },
  });
  let restored: Promise<void> | undefined;
  let read = 0; // all up to here was noted,
  let last = 0; // and this is the last event of it

  return {
    async upTo(to, signalled) {
      const info = await streamInfo(broker.jsm, stream);
      if (info === undefined) return () => 0;
      restored ??= restore(
        broker,
        stream,
        verdicts,
        Date.parse(info.created),
        info.state.first_seq,
      );
      await restored;
      const range = { stream, filter: allEvents, from: Math.max(read, verdicts.passed) + 1, to };
      for await (const chunk of readRange(broker, range)) {
        signalled?.throwIfAborted();
        for (const { seq, natsSubject, raw, headerLength } of chunk) {
          read = seq;
          if (!isEventSubject(natsSubject)) continue;
          verdicts.note(seq, peekIdentity(raw, headerLength));
          last = seq;
        }
      }
      while (verdicts.passed < last) {
        if (unread) throw unreadError(stream);
        moved = signal<void>();
        await moved.promise;
      }
      return verdicts.repeatOf;
    },
  };
}

async function restore(
  broker: Broker,
  stream: string,
  verdicts: Verdicts,
  createdMs: number,
  firstSeq: number,
): Promise<void> {
  if ((await streamInfo(broker.jsm, identitiesStream)) === undefined) return;
  const blocks = await openCheckpoints(broker, stream).load(createdMs, firstSeq);
  let behind = blocks.reduce((sum, block) => sum + block.distances.length, 0);
  verdicts.expect(behind);
  for (const block of blocks) {
    behind -= block.distances.length;
    verdicts.restore(block, behind < countMax);
  }
}

function unreadError(stream: string): EddyError {
  const text = `an original in stream ${stream} could not be read to tell repeats from first events. Try again`;
  return new EddyError("EDDY_READ_FAILED", text);
}
