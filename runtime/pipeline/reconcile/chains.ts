// Which event stands twice, and which effect follows from which event: identities and derived ids as hashes. Pure.
// Holds about 32 bytes for each event, and as many for each reaction that wants it.
import { effectRoot } from "../emit.ts";
import { hashIdentity } from "../identities/hash.ts";
import type { Identity } from "../identities/identity.ts";
import { createWindow } from "../identities/window.ts";

export interface Chains {
  /** Where this identity stands first, if not here: then the event is a repeat. */
  repeatOf(identity: Identity, seq: number): number;
  /** An event that a reaction may have effects of. */
  cause(handler: string, stream: string, seq: number, identity: Identity): void;
  /** Position of the event that an effect of the handler follows from; 0 where there is none. */
  causeOf(handler: string, effectId: string): number;
}

export function createChains(): Chains {
  const identities = createWindow(Number.MAX_SAFE_INTEGER);
  const causes = createWindow(Number.MAX_SAFE_INTEGER);
  return {
    repeatOf({ source, id }, seq) {
      const hash = hashIdentity(source, id);
      const first = identities.find(hash);
      if (first === 0) identities.add(hash, seq);
      return first;
    },
    cause(handler, stream, seq, { source, id }) {
      const root = effectRoot({
        handler: { name: handler },
        position: { stream, seq },
        event: { source, id },
      });
      causes.add(hashIdentity(handler, root), seq);
    },
    causeOf(handler, effectId) {
      const dash = effectId.lastIndexOf("-");
      return causes.find(hashIdentity(handler, effectId.slice(0, dash)));
    },
  };
}
