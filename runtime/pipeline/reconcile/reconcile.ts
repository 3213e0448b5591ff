// `eddy reconcile`: counts what each handler of an app has done, from the server alone, and names what is missing or
// doubled. A runtime may run meanwhile: what looks wrong is looked at again before it is said.
// M1 Memory: what is open, what is wrong, and hashes of the events (tens of bytes each); never the events themselves.
import { type Broker, readMessage, streamInfo } from "../../broker/index.ts";
import { EddyError, isEventSubject, type Position } from "../../events/index.ts";
import { effectRoot } from "../emit.ts";
import { eventOf } from "../identities/identity.ts";
import { type Counts, noCounts } from "../ledger/counts.ts";
import type { LedgerRecord } from "../ledger/record.ts";
import { type Account, createAccount, enterStanding, stoodNow } from "./account.ts";
import { createChains } from "./chains.ts";
import { createCursorTallies } from "./cursor-tally.ts";
import { type Beside, type Finding, judgeHandler, type Part } from "./findings.ts";
import { isStillMissing, readBucket, readReasons, readRetries } from "./read-aside.ts";
import { type Extent, eachStored, identityOf, intoAccounts, type Progress } from "./read-home.ts";
import { readSubjects, type Subject } from "./subjects.ts";
import { createTally } from "./tally.ts";

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
  const first = await extentsOf(broker, subjects);
  const opened: Opened[] = [];
  for (const subject of subjects) opened.push(await openAccounts(broker, subject, first));
  const extents = await extentsOf(broker, subjects); // after the cursors: what they have completed is within
  const all = opened.flatMap(({ accounts }) => accounts);
  for (const extent of extents.values()) {
    const accounts = all.filter(({ stream }) => stream === extent.stream);
    const into = intoAccounts(accounts, createChains(), extent);
    await eachStored(broker, extent, (message) => {
      into(message);
      if (message.seq % 1_000 === 0) onProgress(message.seq, extent.lastSeq);
    });
    if (extent.stream === broker.home) await findCauses(broker, accounts, extent);
  }
  const rows: Reconciled[] = [];
  for (const one of opened) rows.push(await close(broker, one, extents));
  return rows;
}

type Extents = ReadonlyMap<string, Extent>;

/** A handler's accounts, that of the home stream first. */
interface Opened {
  readonly accounts: readonly [Account, ...Account[]];
  readonly entries: number | null;
}

/** Of all streams that are read, the home stream first. */
async function extentsOf(broker: Broker, subjects: readonly Subject[]): Promise<Extents> {
  const found = new Map<string, Extent>();
  for (const stream of new Set([broker.home, ...subjects.flatMap(({ streams }) => streams)]))
    found.set(stream, await extentOf(broker, stream));
  return found;
}

async function extentOf(broker: Broker, stream: string): Promise<Extent> {
  const info = await streamInfo(broker.jsm, stream);
  if (info !== undefined) {
    const { first_seq: firstSeq, last_seq: lastSeq } = info.state;
    return { stream, createdMs: Date.parse(info.created), firstSeq, lastSeq };
  }
  if (stream === broker.home)
    throw new EddyError("EDDY_HOME_MISSING", `there is no stream ${stream} on this server`);
  return { stream, createdMs: 0, firstSeq: 1, lastSeq: 0 };
}

async function openAccounts(broker: Broker, subject: Subject, extents: Extents): Promise<Opened> {
  const all = subject.streams.map((stream) => extents.get(stream) as Extent);
  const home = all[0] as Extent;
  if (subject.kind === "reaction") {
    const tally = createTally(Math.max(1, subject.wants?.length ?? 0), home.firstSeq);
    return { accounts: [createAccount(subject, home.stream, tally)], entries: null };
  }
  const { record, standings, entries } = await readBucket(broker, subject);
  const inputs = all.map(({ stream, createdMs }) =>
    record?.inputs.find((input) => input.stream === stream && input.createdMs === createdMs),
  );
  const known = inputs.some((input) => input !== undefined);
  const tallies = createCursorTallies({
    inputs,
    counts: known ? record?.counts : undefined,
    isBase: subject.fromFirst && isWhole(record, all),
  });
  const accounts = tallies.map((tally, at) => {
    const { stream } = all[at] as Extent;
    const account = createAccount(subject, stream, tally);
    for (const { position, standing } of standings)
      if (position.stream === stream) enterStanding(account, position.seq, standing);
    account.stood = stoodNow(account);
    return account;
  });
  return { accounts: accounts as [Account, ...Account[]], entries };
}

/** Whether the counts are those of these streams, all of which are there from their first event on. */
function isWhole(record: LedgerRecord | undefined, extents: readonly Extent[]): boolean {
  const streams = new Set(extents.map(({ stream }) => stream));
  const readOthers = record?.inputs.some(({ stream }) => !streams.has(stream)) === true;
  return !readOthers && extents.every(({ firstSeq }) => firstSeq <= 1);
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
  { accounts, entries }: Opened,
  extents: Extents,
): Promise<Reconciled> {
  const [home, ...further] = accounts;
  const partOf = async (account: Account): Promise<Part> => {
    const { firstSeq } = extents.get(account.stream) as Extent;
    return { account, beside: await readBeside(broker, account, firstSeq) };
  };
  const parts: [Part, ...Part[]] = [await partOf(home)];
  for (const account of further) parts.push(await partOf(account));
  const { findings, notes } = judgeHandler(parts);
  const { subject, tally, effects } = home;
  const sum = (of: (part: Part) => number) => parts.reduce((all, part) => all + of(part), 0);
  const { events, lag, last } = tally.result();
  return {
    name: subject.name,
    kind: subject.kind,
    events,
    floor: last?.floor ?? 0,
    above: (last?.above.length ?? 0) / 2,
    lag,
    ...(last?.counts ?? noCounts()),
    waiting: sum(({ account }) => account.standings.waiting.size),
    letters: sum(({ beside }) => beside.letters.size),
    effects,
    entries,
    findings: await named(broker, subject, findings),
    notes,
  };
}

async function readBeside(
  broker: Broker,
  { subject, stream, standings }: Account,
  firstSeq: number,
): Promise<Beside> {
  return {
    retries: standings.waiting.size > 0 ? await readRetries(broker, subject, stream) : new Set(),
    letters: await readReasons(broker, subject, stream),
    whole: firstSeq <= 1,
    firstSeq,
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
    const { what, seq, stream = broker.home, id } = finding;
    if (seq !== undefined && (what === "retry" || what === "letter"))
      if (!(await isStillMissing(broker, subject, what, { stream, seq }))) continue;
    if (seq === undefined || id !== undefined) said.push(finding);
    else said.push({ ...finding, ...(await identityAt(broker, { stream, seq })) });
  }
  const more = findings.length - namedMax;
  if (more > 0) said.push({ kind: "counts", text: `${more} more findings are not named` });
  return said;
}

async function identityAt(
  broker: Broker,
  { stream, seq }: Position,
): Promise<{ source?: string; id?: string }> {
  const message = await readMessage(broker.nc, stream, { seq });
  if (message === undefined) return {};
  const block = message.headers ?? new Uint8Array(0);
  const event = eventOf(Buffer.concat([block, message.data]), block.byteLength);
  return event === undefined ? {} : { source: event.source, id: event.id };
}
