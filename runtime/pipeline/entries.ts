// What the pipeline asks of a projection's store. Implemented by the projections room, handed in by the host.

import type { Projection } from "../authoring/index.ts";
import type { BatchMessage } from "../broker/index.ts";

/** The entries of one projection while this instance is its only writer. */
export interface Entries {
  /** The entry's state after all that was folded so far, where it is in memory: most folds wait for nothing. */
  known(key: string): { readonly state: unknown } | undefined;
  /** The entry's state after all that was folded so far, stored or not; undefined where there is none. */
  read(key: string): Promise<unknown>;
  /** Remembers the next state (null removes it) and gives the message that stores it, with what the entry is found by.
   * Throws Permanent for a state that cannot be stored. */
  fold(key: string, next: unknown, marks: string): BatchMessage;
  /** Forgets what was remembered and not stored, as after a lost ledger. */
  forget(): void;
  /** What was stored up to a sequence of the bucket's stream counts as not there from now on: it is folded anew. */
  beginAnew(seq: number): void;
  /** Messages that remove the entries of before that were not folded anew. */
  leftovers(): AsyncIterable<readonly BatchMessage[]>;
}

/** Makes sure of the bucket and opens its entries. */
export type OpenEntries = (projection: Projection) => Promise<Entries>;
