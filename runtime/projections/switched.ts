// Reading while a rebuilt projection takes its old entries' place: where copies count, the entries are theirs.
// W1 Once a reader has been given a rebuilt entry, it is given no older one of any key.
import { type NatsConnection, readMessage, type StoredMessage } from "../broker/index.ts";
import { token } from "../events/index.ts";
import { copyOf, markerLeaseMs, markerOf } from "../pipeline/index.ts";

export interface Switches {
  /** The switch whose copies count now; undefined where the entries in their places do. */
  now(projection: string): Promise<string | undefined>;
  /** The copy of an entry; undefined where there is none any more, and the entry in its place counts. */
  read(projection: string, key: string): Promise<StoredMessage | undefined>;
}

export function createSwitches(nc: NatsConnection): Switches {
  const quiet = new Map<string, number>(); // until when there is nothing to look for
  const looks = new Map<string, Promise<string | undefined>>(); // under way: reads come in crowds

  async function now(projection: string): Promise<string | undefined> {
    if ((quiet.get(projection) ?? 0) > performance.now()) return undefined;
    const looking = looks.get(projection) ?? look(projection);
    looks.set(projection, looking);
    return await looking;
  }

  async function look(projection: string): Promise<string | undefined> {
    try {
      return await ask(projection);
    } finally {
      looks.delete(projection);
    }
  }

  async function ask(projection: string): Promise<string | undefined> {
    const askedMs = performance.now(); // what is said after that is not known
    const marker = await markerOf({ nc }, projection);
    if (marker === undefined || marker.kind === "over")
      quiet.set(projection, askedMs + markerLeaseMs);
    return marker?.kind === "switched" ? marker.id : undefined;
  }

  return {
    now,
    async read(projection, key) {
      const id = await now(projection);
      if (id === undefined) return undefined;
      const last_by_subj = copyOf(projection, id, token(key));
      return await readMessage(nc, `KV_${projection}`, { last_by_subj });
    },
  };
}
