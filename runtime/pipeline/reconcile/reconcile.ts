// `eddy reconcile`: counts what each handler of an app has done, from the server alone, and names what is missing or
// doubled. A runtime may run meanwhile: what looks wrong is looked at again before it is said.
// M1 Memory: what is open, what is wrong, and hashes of the events (tens of bytes each); never the events themselves.
import { type Broker, readMessage, streamInfo } from "../../broker/index.ts";
import { EddyError, isEventSubject } from "../../events/index.ts";
import { effectRoot } from "../emit.ts";
import { eventOf } from "../identities/identity.ts";
import { type Counts, noCounts } from "../ledger/counts.ts";
import type { LedgerRecord } from "../ledger/record.ts";
import { type Account, createAccount, enterStanding, stoodNow } from "./account.ts";
import { createChains } from "./chains.ts";
import { createCursorTally } from "./cursor-tally.ts";
import { type Beside, type Finding, judgeAccount } from "./findings.ts";
import { isStillMissing, readBucket, readReasons, readRetries } from "./read-aside.ts";
import { type Extent, eachStored, identityOf, intoAccounts, type Progress } from "./read-home.ts";
import { readSubjects, type Subject } from "./subjects.ts";
import { createTally, type Mark } from "./tally.ts";

export interface Reconciled extends Counts {
  readonly name: string;
  readonly kind: "reaction" | "projection";
  /** Events of its types in the stream. */
  readonly events: number;
  readonly floor: number;
  /** Completed stretches above the floor. */
  readonly above: number;
  readonly lag: number;
  readonly waiting: number;
  readonly letters: number;
  readonly effects: number;
  /** Of a projection. */
  readonly entries: number | null;
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
}

/** Counts these handlers of the app, or all. */
export async function reconcile(
  broker: Broker,
  only: readonly string[],
  onProgress: Progress,
): Promise<Reconciled[]> {
  const subjects = await readSubjects(broker, only);
  const missing = only.find((name) => !subjects.some((subject) => subject.name === name));
  if (missing !== undefined)
    throw new EddyError("EDDY_NOT_FOUND", `there is no handler ${missing}. See: eddy handlers`);
  if (subjects.length === 0) return [];
  const first = await extentOf(broker);
  const opened = [];
  for (const subject of subjects) opened.push(await openAccount(broker, subject, first));
  const accounts = opened.map(({ account }) => account);
  const extent = await extentOf(broker); // after the cursors: what they have completed is within
  const into = intoAccounts(accounts, createChains(), extent);
  await eachStored(broker, extent, (message) => {
    into(message);
    if (message.seq % 1_000 === 0) onProgress(message.seq, extent.lastSeq);
  });
  await findCauses(broker, accounts, extent);
  const rows: Reconciled[] = [];
  for (const { account, entries } of opened)
    rows.push(await close(broker, account, entries, extent));
  return rows;
}

async function extentOf(broker: Broker): Promise<Extent> {
  const info = await streamInfo(broker.jsm, broker.home);
  if (info === undefined)
    throw new EddyError("EDDY_HOME_MISSING", `there is no stream ${broker.home} on this server`);
  const { first_seq: firstSeq, last_seq: lastSeq } = info.state;
  return { stream: broker.home, createdMs: Date.parse(info.created), firstSeq, lastSeq };
}

async function openAccount(
  broker: Broker,
  subject: Subject,
  extent: Extent,
): Promise<{ account: Account; entries: number | null }> {
  if (subject.kind === "reaction") {
    const tally = createTally(Math.max(1, subject.wants?.length ?? 0), extent.firstSeq);
    return { account: createAccount(subject, tally), entries: null };
  }
  const { record, standings, entries } = await readBucket(broker, subject, extent.stream);
  const mark = record && markOf(record, extent);
  const account = createAccount(
    subject,
    createCursorTally(mark, subject.fromFirst && extent.firstSeq <= 1),
  );
  for (const { seq, standing } of standings) enterStanding(account, seq, standing);
  account.stood = stoodNow(account);
  return { account, entries };
}

function markOf({ inputs, counts }: LedgerRecord, extent: Extent): Mark | undefined {
  const input = inputs.find(({ stream }) => stream === extent.stream);
  if (input === undefined || input.createdMs !== extent.createdMs) return undefined;
  return { floor: input.floor, above: input.above, counts };
}

// An effect's cause may be of a type that its handler does not read any more: then all events are looked at again.
async function findCauses(
  broker: Broker,
  accounts: readonly Account[],
  extent: Extent,
): Promise<void> {
  const asking = accounts.filter(({ causeless }) => causeless.length > 0);
  if (asking.length === 0 || extent.firstSeq > 1) return;
  const open = asking.map((account) => ({
    account,
    roots: new Set(account.causeless.map(({ id }) => id.slice(0, id.lastIndexOf("-")))),
  }));
  await eachStored(broker, extent, (message) => {
    if (!isEventSubject(message.subject)) return;
    const event = identityOf(message);
    if (event === undefined) return;
    const position = { stream: extent.stream, seq: message.seq };
    for (const { account, roots } of open)
      roots.delete(effectRoot({ handler: account.subject, position, event }));
  });
  for (const { account, roots } of open) {
    const without = account.causeless.filter(({ id }) =>
      roots.has(id.slice(0, id.lastIndexOf("-"))),
    );
    account.causeless.splice(0, account.causeless.length, ...without);
  }
}

async function close(
  broker: Broker,
  account: Account,
  entries: number | null,
  extent: Extent,
): Promise<Reconciled> {
  const { subject, tally, standings, effects } = account;
  const beside: Beside = {
    retries: standings.waiting.size > 0 ? await readRetries(broker, subject) : new Set(),
    letters: await readReasons(broker, subject),
    whole: extent.firstSeq <= 1,
    firstSeq: extent.firstSeq,
  };
  const { findings, notes } = judgeAccount(account, beside);
  const { events, lag, last } = tally.result();
  return {
    name: subject.name,
    kind: subject.kind,
    events,
    floor: last?.floor ?? 0,
    above: (last?.above.length ?? 0) / 2,
    lag,
    ...(last?.counts ?? noCounts()),
    waiting: standings.waiting.size,
    letters: beside.letters.size,
    effects,
    entries,
    findings: await named(broker, subject, findings),
    notes,
  };
}

const namedMax = 1_000;
const againMs = 300; // a schedule that fires is nowhere for a moment

/** Findings that are still true, with the identity of the event that they are about. */
async function named(
  broker: Broker,
  subject: Subject,
  findings: readonly Finding[],
): Promise<Finding[]> {
  const said: Finding[] = [];
  if (findings.some(({ what }) => what === "retry" || what === "letter"))
    await new Promise((resolve) => setTimeout(resolve, againMs));
  for (const finding of findings.slice(0, namedMax)) {
    const { what, seq, id } = finding;
    if (seq !== undefined && (what === "retry" || what === "letter"))
      if (!(await isStillMissing(broker, subject, what, seq))) continue;
    if (seq === undefined || id !== undefined) said.push(finding);
    else said.push({ ...finding, ...(await identityAt(broker, seq)) });
  }
  const more = findings.length - namedMax;
  if (more > 0) said.push({ kind: "counts", text: `${more} more findings are not named` });
  return said;
}

async function identityAt(broker: Broker, seq: number): Promise<{ source?: string; id?: string }> {
  const message = await readMessage(broker.nc, broker.home, { seq });
  if (message === undefined) return {};
  const block = message.headers ?? new Uint8Array(0);
  const event = eventOf(Buffer.concat([block, message.data]), block.byteLength);
  return event === undefined ? {} : { source: event.source, id: event.id };
}
