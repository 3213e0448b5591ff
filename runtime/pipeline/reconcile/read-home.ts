// One pass over the home stream: each message goes to the accounts that it concerns.
// Reads in stream order, holds nothing; what is kept is the accounts' business.
import { type Broker, type JsMsg, readDelivery, readOrdered } from "../../broker/index.ts";
import { EddyError, isEventSubject, untoken } from "../../events/index.ts";
import { type Identity, peekIdentity } from "../identities/identity.ts";
import { decodeRecord } from "../ledger/record.ts";
import { decodeStanding } from "../retry/standing.ts";
import { type Account, enterEffect, enterRecord, enterStanding } from "./account.ts";
import type { Chains } from "./chains.ts";

export interface Extent {
  readonly stream: string;
  readonly createdMs: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export type Progress = (seq: number, lastSeq: number) => void;

/** Reads what the stream holds up to its extent. */
export async function eachStored(
  broker: Broker,
  { stream, lastSeq, firstSeq }: Extent,
  onMessage: (message: JsMsg) => void,
): Promise<void> {
  if (lastSeq < firstSeq) return;
  let stop: (() => Promise<void>) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const broken = (why: string) =>
        reject(new EddyError("EDDY_READ_FAILED", `stream ${stream} could not be read: ${why}`));
      const read = {
        stream,
        filter: ">",
        fromSeq: firstSeq,
        onBroken: broken,
        onMessage(message: JsMsg) {
          try {
            if (message.seq <= lastSeq) onMessage(message);
            if (message.seq >= lastSeq || message.info.pending === 0) resolve();
          } catch (error) {
            reject(error);
          }
        },
      };
      readOrdered(broker, read).then((close) => {
        stop = close;
      }, reject);
    });
  } finally {
    await stop?.();
  }
}

/** Hands the stream's messages to the accounts. */
export function intoAccounts(accounts: readonly Account[], chains: Chains, extent: Extent) {
  const wanting = wantingBySubject(accounts);
  const bySource = new Map(accounts.map((account) => [account.subject.source, account]));
  const byLedger = new Map(accounts.map((account) => [account.subject.place.ledger, account]));

  function takeEvent(message: JsMsg): void {
    const { subject, seq } = message;
    const identity = identityOf(message);
    const firstSeq = identity === undefined ? 0 : chains.repeatOf(identity, seq);
    for (const { account, type } of wanting.get(subject.slice(0, subject.lastIndexOf("."))) ?? []) {
      account.tally.event(seq, type, firstSeq > 0);
      if (identity !== undefined && account.subject.kind === "reaction")
        chains.cause(account.subject.name, extent.stream, seq, identity);
    }
    if (identity !== undefined) takeEffect(identity, seq, firstSeq);
  }

  function takeEffect(identity: Identity, seq: number, firstSeq: number): void {
    const account = bySource.get(identity.source);
    if (account?.subject.kind !== "reaction") return;
    const causeSeq = chains.causeOf(account.subject.name, identity.id);
    enterEffect(account, { source: identity.source, id: identity.id }, { seq, firstSeq, causeSeq });
  }

  function takeLedger(message: JsMsg): void {
    const account = byLedger.get(message.subject);
    if (account !== undefined) {
      const record = decodeRecord(message.data);
      const input = record.inputs.find(({ stream }) => stream === extent.stream);
      if (input === undefined || input.createdMs !== extent.createdMs) return;
      enterRecord(account, { floor: input.floor, above: input.above, counts: record.counts });
      return;
    }
    const place = standingPlace(message.subject);
    const owner = place && byLedger.get(place.ledger);
    if (place === undefined || owner === undefined || place.stream !== extent.stream) return;
    enterStanding(owner, place.seq, decodeStanding(message.data));
  }

  return (message: JsMsg) => {
    if (isEventSubject(message.subject)) takeEvent(message);
    else if (message.subject.startsWith("ledger.")) takeLedger(message);
  };
}

/** The identity that a message bears; undefined where it is no event. */
export function identityOf(message: JsMsg): Identity | undefined {
  const { raw, headerLength } = readDelivery(message);
  return peekIdentity(raw, headerLength);
}

/** What a standing's subject says; undefined for any other. */
export function standingPlace(
  natsSubject: string,
): { readonly ledger: string; readonly stream: string; readonly seq: number } | undefined {
  const tokens = natsSubject.split(".");
  const seq = Number(tokens.pop());
  const stream = untoken(tokens.pop() ?? "");
  if (stream === undefined || !Number.isSafeInteger(seq)) return undefined;
  return { ledger: tokens.join("."), stream, seq };
}

function wantingBySubject(accounts: readonly Account[]) {
  const wanting = new Map<string, { readonly account: Account; readonly type: number }[]>();
  for (const account of accounts) {
    account.subject.wants?.forEach((subject, type) => {
      const list = wanting.get(subject) ?? [];
      list.push({ account, type });
      wanting.set(subject, list);
    });
  }
  return wanting;
}
