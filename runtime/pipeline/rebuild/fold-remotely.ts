// Folding the past of a projection whose functions run in a thread of their own: keys side by side, the events of each one
// after the other.
import type { Handler } from "../../authoring/index.ts";
import type { CloudEvent, Position } from "../../events/index.ts";
import { findNothing } from "../find.ts";
import { FirstJob } from "../first-job.ts";
import type { Terms } from "../handle.ts";
import type { Logged } from "../log/sight.ts";
import type { ReadEntry } from "../read-entry.ts";
import type { Remote } from "../remote.ts";
import type { States } from "./states.ts";

export interface RemoteFold {
  readonly handler: Handler;
  readonly remote: Remote;
  readonly terms: Terms;
  readonly readEntry: ReadEntry;
  readonly states: States;
  readonly onFolded: (position: Position) => void;
  readonly onFailed: (position: Position, cause: unknown) => void;
}

export interface ToFold {
  readonly event: CloudEvent;
  readonly position: Position;
  readonly message: Logged;
}

export async function foldRemotely(fold: RemoteFold, all: readonly ToFold[]): Promise<void> {
  const { handler, remote, terms, readEntry, states } = fold;
  const lanes = new Map<string, Promise<void>>();
  // All are asked for at once: the thread answers them in order.
  const asked = all.map(({ event, position, message }) => {
    const job = new FirstJob(handler, position.stream, message, 0, event, 0);
    const call = { job, terms, readEntry, findEntries: findNothing };
    const key = remote.key(call);
    key.catch(() => {}); // looked at below
    return { position, call, key };
  });
  for (const { position, call, key: asking } of asked) {
    const failed = (cause: unknown) => fold.onFailed(position, cause);
    try {
      const key = await asking;
      const apply = async () => {
        const next = await remote.apply(call, states.get(key));
        states.set(key, next.state, next.marks);
        fold.onFolded(position);
      };
      lanes.set(key, (lanes.get(key) ?? Promise.resolve()).then(apply).catch(failed));
    } catch (cause) {
      failed(cause);
    }
  }
  await Promise.all(lanes.values());
}
