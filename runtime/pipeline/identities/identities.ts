// The identity index of one stream: which position repeats an earlier one. A property of the log, the same for every
// handler, live and in a rebuild. It is put together from what handlers and committers see anyhow, and the log is read
// for the rest. Owns the order in which positions become known, and the checkpoints. Verdicts: verdicts.ts.
// I1 Every position is noted once, in stream order. I2 What is lost of it is read again from the log.
import { type Broker, type Delivery, readMessage, streamInfo } from "../../broker/index.ts";
import { allEvents, isEventSubject } from "../../events/index.ts";
import type { Report } from "../facts.ts";
import { joined } from "../joined.ts";
import { openCheckpoints } from "./checkpoints.ts";
import { createGapReader, type GapReader } from "./gap-reader.ts";
import { type Hash64, hashIdentity } from "./hash.ts";
import { type Identity, identityAt, peekIdentity } from "./identity.ts";
import { createPieces } from "./pieces.ts";
import { createVerdicts, type Verdicts } from "./verdicts.ts";

/** The window in which a repeat is recognised: whichever of the two ends it first. */
export interface IdentityLimits {
  readonly countMax: number;
  readonly ageMs: number;
}

export interface Identities {
  /** Whether the verdict on a position is known, of the stream of that name that was created then. */
  knows(createdMs: number, seq: number): boolean;
  /** Begins anew where the stream has been made anew since. */
  follow(createdMs: number): void;
  /** Takes what a handler was delivered; `identity` where it is known already. The verdict follows, now or later. */
  deliver(createdMs: number, delivery: Delivery, identity?: Identity): void;
  /** Takes what was stored in one batch from `firstSeq` on: identities of events, undefined for all else. */
  stored(firstSeq: number, identities: readonly (Identity | undefined)[]): void;
  /** The first sequence of the identity that this one repeats; 0 where it is the first itself. */
  repeatOf(seq: number): number;
  /** Calls back whenever more verdicts are known. */
  onProgress(listener: () => void): () => void;
  readonly size: number;
  readonly bytes: number;
  /** Identities that have left the window since the start. */
  readonly left: number;
  stop(): Promise<void>;
}

const blockEntries = 16_384;
const shortTail = 16_384; // positions
const upkeepEveryMs = 30_000;

export async function startIdentities(
  broker: Broker,
  stream: string,
  limits: IdentityLimits,
  report: Report,
  hash: (source: string, id: string) => Hash64 = hashIdentity,
): Promise<Identities> {
  const checkpoints = openCheckpoints(broker, stream);
  const listeners = new Set<() => void>();
  const pieces = createPieces();
  let verdicts = openVerdicts();
  let ages: { readonly seq: number; readonly atMs: number }[] = []; // when sequences were stored, now and then
  let createdMs = 0;
  let seen = 0; // all up to here was noted
  let seenMs = 0;
  let saved = 0; // covered by blocks
  let saveAt = blockEntries;
  let left = 0; // by windows before this one
  let wanted = 0;
  const save = joined(saveBlocks);
  let telling = false;
  let stopped = false;
  let life = 0;
  let reader = openReader();

  await restart();
  const timer = setInterval(() => void upkeep(), upkeepEveryMs);
  timer.unref();

  function openVerdicts(): Verdicts {
    return createVerdicts({
      countMax: limits.countMax,
      hash,
      readIdentity: (seq) => identityAt(broker, stream, seq),
      onPassed() {
        if (verdicts.passed >= saveAt) void save();
        progress();
      },
      onUnread: () => void again("an original could not be read"),
    });
  }

  function openReader(): GapReader {
    const mine = life;
    return createGapReader({
      broker,
      stream,
      known: () => seen,
      onDelivery: ({ seq, storedMs, natsSubject, raw, headerLength }) => {
        if (mine !== life) return;
        const isEvent = isEventSubject(natsSubject);
        note(seq, storedMs, isEvent ? peekIdentity(raw, headerLength) : undefined);
        goOn();
      },
      onBroken: (why) => {
        if (mine === life) void again(why);
      },
    });
  }

  async function restart(): Promise<void> {
    life++;
    verdicts.drop();
    pieces.clear();
    void reader.stop();
    reader = openReader();
    // At once: what is brought while the server is asked must not be noted as if what was dropped had its verdict.
    wanted = Math.max(wanted, seen);
    seen = verdicts.passed;
    const info = await streamInfo(broker.jsm, stream);
    if (info === undefined) throw new Error(`stream ${stream} is not there`);
    const created = Date.parse(info.created);
    if (created !== createdMs) {
      await load(created, info.state.first_seq);
      seen = verdicts.passed;
    }
    verdicts.cutBelow(info.state.first_seq);
    if (wanted > seen) reader.want(wanted);
    else await readShortTail();
    progress();
  }

  async function again(why: string): Promise<void> {
    life++;
    const about = `identities of ${stream}`;
    const code = "EDDY_IDENTITIES_BROKEN";
    const message = `reading ${stream} for the identity index broke off (${why}); it is started again`;
    report({ kind: "trouble", code, about, message });
    for (let waitMs = 100; !stopped; waitMs = Math.min(waitMs * 2, 2_000)) {
      try {
        await restart();
        report({ kind: "mended", code, about, message: `${stream} is read again` });
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }

  function follow(created: number): void {
    if (created > createdMs) void again("it was made anew");
  }

  async function load(created: number, firstSeq: number): Promise<void> {
    const blocks = await checkpoints.load(created, firstSeq);
    left += verdicts.left;
    verdicts = openVerdicts();
    createdMs = created;
    ages = [];
    wanted = 0;
    let behind = blocks.reduce((sum, block) => sum + block.distances.length, 0);
    verdicts.expect(behind);
    for (const block of blocks) {
      behind -= block.distances.length;
      verdicts.restore(block, behind < limits.countMax);
      ages.push({ seq: verdicts.passed, atMs: block.toMs });
    }
    saved = verdicts.passed;
    saveAt = saved + blockEntries;
  }

  function deliver(created: number, delivery: Delivery, identity?: Identity): void {
    const { seq, storedMs, raw, headerLength } = delivery;
    if (seq <= seen || created !== createdMs) return;
    const found = identity ?? peekIdentity(raw, headerLength);
    if (seq === seen + 1) {
      note(seq, storedMs, found);
      goOn();
      return;
    }
    pieces.put({ seq, storedMs, identity: found }, seen);
    wanted = Math.max(wanted, seq);
    reader.want(seq);
  }

  function stored(firstSeq: number, identities: readonly (Identity | undefined)[]): void {
    const storedMs = Date.now();
    for (const [at, identity] of identities.entries()) {
      const seq = firstSeq + at;
      if (seq === seen + 1) note(seq, storedMs, identity);
      else if (seq > seen) pieces.put({ seq, storedMs, identity }, seen);
    }
    goOn();
  }

  // What was brought before its turn may be next now.
  function goOn(): void {
    for (let next = pieces.take(seen + 1); next !== undefined; next = pieces.take(seen + 1)) {
      note(next.seq, next.storedMs, next.identity);
    }
  }

  function note(seq: number, storedMs: number, identity: Identity | undefined): void {
    seen = seq;
    seenMs = storedMs;
    verdicts.note(seq, identity);
  }

  // Once for all that one read from the socket brought: listeners cost more than the index itself.
  function progress(): void {
    if (telling) return;
    telling = true;
    queueMicrotask(() => {
      telling = false;
      for (const listener of listeners) listener();
    });
  }

  async function upkeep(): Promise<void> {
    try {
      await save();
      const info = await streamInfo(broker.jsm, stream);
      if (info === undefined) return;
      follow(Date.parse(info.created));
      if (Date.parse(info.created) !== createdMs) return;
      verdicts.cutBelow(info.state.first_seq);
      await checkpoints.cutBelow(info.state.first_seq);
      forgetOld(Date.now());
      await readTail();
    } catch {
      // derived, and done again in the next round; a lost connection is said by others
    }
  }

  // Events that no handler here reads belong to the log as well.
  async function readTail(): Promise<void> {
    const last = await lastEvent();
    if (last > seen) reader.want(last);
  }

  // At once, while the handlers take over. Of a long one they bring most themselves: it would be read twice.
  async function readShortTail(): Promise<void> {
    const next = readMessage(broker.nc, stream, { seq: seen + 1, next_by_subj: allEvents });
    const [first, last] = await Promise.all([next, lastEvent()]);
    if (first !== undefined && last - first.seq < shortTail) reader.want(last);
  }

  async function lastEvent(): Promise<number> {
    return (await readMessage(broker.nc, stream, { last_by_subj: allEvents }))?.seq ?? 0;
  }

  function forgetOld(nowMs: number): void {
    const young = ages.findIndex((age) => age.atMs >= nowMs - limits.ageMs);
    const old = young < 0 ? ages.length : young;
    const last = ages[old - 1];
    if (last === undefined) return;
    verdicts.forgetBelow(last.seq + 1);
    ages = ages.slice(old);
  }

  // Blocks are of bounded size and follow each other: after a failure the next round goes on at the same place.
  async function saveBlocks(): Promise<void> {
    if (createdMs === 0) return;
    const mine = createdMs;
    saveAt = verdicts.passed + blockEntries;
    const end = verdicts.passed; // what passes meanwhile is for the next blocks: small ones would cost the next start
    try {
      while (saved < end && mine === createdMs) {
        const from = saved + 1;
        const to = Math.min(end, saved + blockEntries);
        const toMs = seenMs;
        await checkpoints.save({ createdMs, from, to, toMs, ...verdicts.slice(from, to) });
        if (mine !== createdMs) return; // made anew meanwhile
        saved = to;
        ages.push({ seq: to, atMs: toMs });
      }
    } catch {
      // derived: what is missing is read again at the next start, or saved in the next round
    }
  }

  return {
    knows: (created, seq) => created === createdMs && verdicts.knows(seq),
    follow,
    deliver,
    stored,
    repeatOf: (seq) => verdicts.repeatOf(seq),
    onProgress(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get size() {
      return verdicts.size;
    },
    get bytes() {
      return verdicts.bytes;
    },
    get left() {
      return left + verdicts.left;
    },
    async stop() {
      stopped = true;
      life++;
      clearInterval(timer);
      await reader.stop();
      await save(); // that is under way, if one is
      await save();
    },
  };
}
