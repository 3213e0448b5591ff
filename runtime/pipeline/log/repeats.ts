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

/**
 * The first sequence of the identity that a position up to `to` repeats; 0 where it is the first itself.
 * @throws EddyError `EDDY_READ_FAILED`, or the signal's reason.
 */
export async function readRepeats(
  broker: Broker,
  stream: string,
  to: number,
  signalled?: AbortSignal,
): Promise<(seq: number) => number> {
  const info = await streamInfo(broker.jsm, stream);
  if (info === undefined) return () => 0;
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
  await restore(broker, stream, verdicts, Date.parse(info.created), info.state.first_seq);
  const range = { stream, filter: allEvents, from: verdicts.passed + 1, to };
  let last = verdicts.passed;
  for await (const chunk of readRange(broker, range)) {
    signalled?.throwIfAborted();
    for (const { seq, natsSubject, raw, headerLength } of chunk) {
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
