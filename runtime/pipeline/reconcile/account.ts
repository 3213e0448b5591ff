// One handler's account of one stream while that is read: its tally, its standings and its effects. Pure; fed in stream order.
import type { Identity } from "../identities/identity.ts";
import type { Standing } from "../retry/standing.ts";
import { createStandings, type Standings } from "./standings.ts";
import type { Subject } from "./subjects.ts";
import type { Mark, Tally } from "./tally.ts";

/** An effect that is wrong, by its identity. */
export interface WrongEffect extends Identity {
  readonly seq: number;
  /** Where it stands first, if it is stored twice. */
  readonly firstSeq: number;
}

/** How many events stood where, beside the ledger's last record. */
export interface Stood {
  readonly waiting: number;
  readonly dead: number;
  readonly discarded: number;
}

/** Of one stream that the handler reads. */
export interface Account {
  readonly subject: Subject;
  readonly stream: string;
  readonly tally: Tally;
  readonly standings: Standings;
  stood: Stood;
  effects: number;
  readonly doubled: WrongEffect[];
  readonly causeless: WrongEffect[];
  /** Wrong effects beyond those that are held. */
  more: number;
}

const wrongMax = 1_000;

export function createAccount(subject: Subject, stream: string, tally: Tally): Account {
  return {
    subject,
    stream,
    tally,
    standings: createStandings(),
    stood: { waiting: 0, dead: 0, discarded: 0 },
    effects: 0,
    doubled: [],
    causeless: [],
    more: 0,
  };
}

/** A ledger record of the handler: what stands beside it belongs to it. */
export function enterRecord(account: Account, mark: Mark): void {
  account.tally.record(mark);
  account.stood = stoodNow(account);
}

export function stoodNow({ standings }: Account): Stood {
  const { waiting, dead, discarded } = standings;
  return { waiting: waiting.size, dead: dead.size, discarded: discarded.size };
}

export function enterStanding(account: Account, seq: number, standing: Standing): void {
  account.standings.set(seq, standing);
  account.tally.trace(seq);
}

/** An event whose source is the handler's. `causeSeq` 0: none was found; `firstSeq` 0: it stands nowhere before. */
export function enterEffect(
  account: Account,
  identity: Identity,
  at: { readonly seq: number; readonly firstSeq: number; readonly causeSeq: number },
): void {
  account.effects++;
  if (at.causeSeq > 0) account.tally.trace(at.causeSeq);
  const wrong = { ...identity, seq: at.seq, firstSeq: at.firstSeq };
  if (at.firstSeq > 0) keep(account, account.doubled, wrong);
  else if (at.causeSeq === 0) keep(account, account.causeless, wrong);
}

function keep(account: Account, list: WrongEffect[], wrong: WrongEffect): void {
  if (list.length < wrongMax) list.push(wrong);
  else account.more++;
}
