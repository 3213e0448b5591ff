// A ledger record of its own, for what has to stand there before anything goes on.
import type { BatchMessage } from "../../broker/index.ts";
import { unitAside } from "../group.ts";
import type { Trial } from "../ledger/record.ts";
import type { Scope } from "../scope.ts";

/** Stores where the trial of one input stands; false where the ledger is lost or the runtime stops. */
export async function storeNote(
  scope: Scope,
  stream: string,
  trial: Trial | undefined,
): Promise<boolean> {
  scope.ledger.noteTrial(stream, trial);
  return await storeFenced(scope, []);
}

/** The last record of a ledger: its holder stopped, so nobody is suspect. */
export async function storeEnd(scope: Scope): Promise<boolean> {
  scope.ledger.close();
  return await storeFenced(scope, []);
}

/** Stores messages in a unit that settles nothing; false where it is not stored. */
export async function storeFenced(
  { ledger, committer }: Scope,
  messages: readonly BatchMessage[],
): Promise<boolean> {
  let stored = false;
  const unit = unitAside(ledger, messages, () => {
    stored = true;
  });
  committer.submit(unit);
  await committer.settled();
  return stored;
}
