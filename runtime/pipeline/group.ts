// Units that are stored together: what they are, and what a group of them comes to. Pure.
import type { BatchMessage } from "../broker/index.ts";
import type { Ledger, Settlement } from "./ledger/ledger.ts";

/** What one finished event stores. */
export interface Unit extends Settlement {
  readonly ledger: Ledger;
  readonly messages: readonly BatchMessage[];
  /** `nowMs` on the clock of `performance.now()`. */
  onStored(nowMs: number): void;
  /** The server will not store these messages; nothing of the unit is stored. */
  onRefused(why: string): void;
}

/** A unit that settles no event: messages of a handler, or none, with its next record. */
export function unitAside(
  ledger: Ledger,
  messages: readonly BatchMessage[],
  onStored: () => void = () => {},
): Unit {
  const none = { slot: undefined, stream: undefined, move: undefined };
  return { ledger, ...none, messages, onStored, onRefused() {} };
}

const effectsMax = 8; // with a sync for each message a batch is cheaper from about a dozen on
const unitsMax = 500;
/** Up to so many ledgers, each stores a record of its own; more go into one batch. */
export const fewLedgers = 8;
const bytesMax = 64 * 1024;

/** Whether a group goes this way: few events, each with one effect at most, so that no event's effects come apart. */
export function isSmall(units: readonly Unit[]): boolean {
  if (units.length > unitsMax) return false;
  const ledgers = new Set<Ledger>();
  let effects = 0;
  let bytes = 0;
  for (const { ledger, messages } of units) {
    ledgers.add(ledger);
    const [message] = messages;
    if (messages.length > 1 || ledgers.size > fewLedgers) return false;
    if (message === undefined) continue;
    if (!isEffect(message)) return false;
    bytes += message.headerLines.length + message.data.byteLength;
    if (++effects > effectsMax || bytes > bytesMax) return false;
  }
  return true;
}

// Not a standing: whether a retry may run is read from it, so it is never later than its position. Nor what goes to the
// compacted home: whoever begins with it relies on its ledger's record standing behind all that the record says.
function isEffect({ identity, natsSubject }: BatchMessage): boolean {
  return identity !== undefined || natsSubject.startsWith("$KV.");
}

export function bytesOf(messages: readonly BatchMessage[]): number {
  let bytes = 0;
  for (const { headerLines, data } of messages) bytes += headerLines.length + data.byteLength;
  return bytes;
}

// A later entry of the same key replaces the earlier one: only the last value of a group is stored.
export function effectsOf(group: readonly Unit[]): BatchMessage[] {
  const messages: BatchMessage[] = [];
  const entries = new Map<string, number>();
  for (const unit of group) {
    for (const message of unit.messages) {
      if (message.entry === undefined) {
        messages.push(message);
        continue;
      }
      const known = entries.get(message.natsSubject);
      if (known === undefined) entries.set(message.natsSubject, messages.push(message) - 1);
      else messages[known] = message;
    }
  }
  return messages;
}

export function takeBack(group: readonly Unit[]): void {
  for (const unit of group) unit.ledger.exclude(unit);
}

export function byLedger(units: readonly Unit[]): Unit[][] {
  const groups = new Map<Ledger, Unit[]>();
  for (const unit of units) {
    const group = groups.get(unit.ledger);
    if (group === undefined) groups.set(unit.ledger, [unit]);
    else group.push(unit);
  }
  return [...groups.values()];
}
