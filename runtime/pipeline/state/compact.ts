// What an event changes in the compacted home: its message takes the place of an older one of its entity.
// C1 No older event takes the place of a newer one, in whatever order attempts come: what is stored says where it stands, a tombstone as well.
// C2 Nothing is remembered beyond a session: another instance may have written since.
import { deletes, Permanent } from "../../authoring/index.ts";
import { type BatchMessage, readMessage } from "../../broker/index.ts";
import { type CloudEvent, token } from "../../events/index.ts";
import type { EventJob, Scope } from "../scope.ts";
import { untilAnswered } from "../until-answered.ts";
import { compactedMessage, isOlder, type Origin, originOf } from "./message.ts";
import { stateSubject, stateTypeOf } from "./names.ts";

/** The messages that an event leads to: one, or none where a newer event of its entity stands there. Rejects with
 * Permanent for an event that cannot be stored. */
export type Compact = (
  job: EventJob,
  whole: CloudEvent,
) => readonly BatchMessage[] | Promise<readonly BatchMessage[]>;

interface Compaction {
  /** Its message is kept as it stands in the log, also where its data is outside. */
  readonly job: EventJob;
  readonly whole: CloudEvent;
  readonly subject: string;
}

/** More than may be in flight (8,192 deliveries and 1,000 retries), so that none is forgotten before it is stored. */
const rememberedMax = 20_000;
const headroomBytes = 512;
const nothing: readonly BatchMessage[] = [];

/** For the built-in handler of a type; undefined for any other handler. */
export function createCompact(scope: Scope): Compact | undefined {
  const { broker, defaults } = scope;
  const type = stateTypeOf(scope.handler().name);
  if (type === undefined) return undefined;
  const createdMs = scope.ledger.inputs[0]?.createdMs ?? 0;
  const remembered = new Map<string, Origin | undefined>(); // in order of use: the first is the oldest

  function remember(key: string, origin: Origin | undefined): void {
    remembered.delete(key);
    remembered.set(key, origin);
    if (remembered.size <= rememberedMax) return;
    for (const oldest of remembered.keys()) {
      remembered.delete(oldest);
      return;
    }
  }

  async function read(key: string, subject: string): Promise<Origin | undefined> {
    const stored = await untilAnswered(scope, "EDDY_ENTRY_NOT_READ", () =>
      readMessage(broker.nc, broker.state, { last_by_subj: subject }),
    );
    const origin = originOf(stored?.headers);
    if (!remembered.has(key)) remember(key, origin);
    return origin;
  }

  function replace({ job, whole, subject }: Compaction, stored: Origin | undefined) {
    const { position, timeMs } = job.original;
    const own: Origin = { position, createdMs, storedMs: timeMs };
    if (stored !== undefined && isOlder(own, stored)) return nothing;
    const [declared] = job.handler.declaration.from;
    const gone = declared !== undefined && deletes(declared, whole);
    const tombstone = gone ? { untilMs: Date.now() + defaults.tombstoneMs } : undefined;
    const message = compactedMessage(subject, job.original, createdMs, tombstone);
    checkSize(message, broker.maxPayloadBytes, broker.state);
    remember(job.key, own);
    return [message];
  }

  async function replaceUnknown(compaction: Compaction) {
    return replace(compaction, await read(compaction.job.key, compaction.subject));
  }

  return (job, whole) => {
    const compaction = { job, whole, subject: stateSubject(type, token(job.key)) };
    const known = remembered.get(job.key);
    return known === undefined ? replaceUnknown(compaction) : replace(compaction, known);
  };
}

function checkSize({ headerLines, data }: BatchMessage, bytesMax: number, stream: string): void {
  const bytes = headerLines.length + data.byteLength + headroomBytes; // header lines are latin-1
  if (bytes <= bytesMax) return;
  throw new Permanent(
    `with what says where it stands the event has ${bytes} bytes; the server takes ${bytesMax}. ${stream} still has the event before it`,
  );
}
