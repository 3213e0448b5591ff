// The identity index of one stream: which event repeats an earlier one. A property of the log, so it is derived
// from the log alone, in stream order, once for all handlers; verdicts are equal live, after a restart, in a replay.
// I1 A verdict on a sequence is known once `passed` has reached it. I2 `passed` never moves over an open question.
// I3 A repeat is one only after both identities were compared: a hash collision loses nothing.
import {
  type Broker,
  headerBlock,
  type JsMsg,
  readMessage,
  readOrdered,
  streamInfo,
} from "../../broker/index.ts";
import { sameIdentity } from "../../events/index.ts";
import type { Report } from "../facts.ts";
import { createQueue } from "../queue.ts";
import type { Block } from "./blocks.ts";
import { openCheckpoints } from "./checkpoints.ts";
import { type Hash64, hashIdentity } from "./hash.ts";
import { eventOf, type Identity, peekIdentity } from "./identity.ts";
import { createWindow, type Window } from "./window.ts";

/** The window in which a repeat is recognised: whichever of the two ends it first. */
export interface IdentityLimits {
  readonly countMax: number;
  readonly ageMs: number;
}

export interface Identities {
  /** Up to where verdicts are known on the stream of that name that was created then. */
  passedOf(createdMs: number): number;
  /** Reads anew where the stream has been made anew since. */
  follow(createdMs: number): void;
  /** The first sequence of the identity that this one repeats; 0 where it is the first itself. */
  repeatOf(seq: number): number;
  /** Calls back whenever `passed` has moved. */
  onProgress(listener: () => void): () => void;
  readonly size: number;
  readonly bytes: number;
  stop(): Promise<void>;
}

const blockEntries = 16_384;
const upkeepEveryMs = 30_000;
const askedMax = 64; // originals read at once: the server drops what waits in too large a crowd

/** A sequence whose verdict is open, or waits behind one. */
interface Question {
  readonly seq: number;
  answered: boolean;
  /** Whom it seems to repeat; absent where there is nothing to ask. */
  readonly about?: { readonly identity: Identity; readonly hash: Hash64; readonly first: number };
}

export async function startIdentities(
  broker: Broker,
  stream: string,
  limits: IdentityLimits,
  report: Report,
  hash: (source: string, id: string) => Hash64 = hashIdentity,
): Promise<Identities> {
  const checkpoints = openCheckpoints(broker, stream);
  const listeners = new Set<() => void>();
  let window: Window = createWindow(limits.countMax);
  let repeats = new Map<number, number>(); // in stream order
  let ages: { readonly seq: number; readonly atMs: number }[] = []; // when sequences were stored, now and then
  let createdMs = 0;
  let passed = 0;
  let passedMs = 0;
  let saved = 0; // covered by blocks
  let sinceSaved = 0;
  const open = createQueue<Question>(); // in stream order: what is being verified, and what waits behind it
  const unasked = createQueue<Question>();
  let asked = 0;
  let lastSeen = 0;
  let saving = false;
  let telling = false;
  let stopped = false;
  let stopReading = async () => {};
  let life = 0; // answers of an earlier read are dropped

  await restart();
  const timer = setInterval(() => void upkeep(), upkeepEveryMs);
  timer.unref();

  async function restart(): Promise<void> {
    const mine = ++life;
    open.clear();
    unasked.clear();
    asked = 0;
    lastSeen = passed;
    void stopReading().catch(() => {}); // gone with what broke
    stopReading = async () => {};
    const info = await streamInfo(broker.jsm, stream);
    if (info === undefined) throw new Error(`stream ${stream} is not there`);
    const created = Date.parse(info.created);
    if (created !== createdMs) await load(created, info.state.first_seq);
    lastSeen = passed;
    forgetBelow(info.state.first_seq);
    stopReading = await readOrdered(broker, {
      stream,
      filter: "events.>",
      fromSeq: passed + 1,
      onMessage: (message) => {
        if (mine === life) note(message);
      },
      onBroken: (why) => {
        if (mine === life) void again(why);
      },
    });
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
    createdMs = created;
    window = createWindow(limits.countMax);
    repeats = new Map();
    ages = [];
    passed = 0;
    saved = 0;
    const blocks = await checkpoints.load(created, firstSeq);
    let left = blocks.reduce((sum, block) => sum + block.distances.length, 0);
    for (const block of blocks) {
      left -= block.distances.length;
      take(block, left < limits.countMax);
    }
    saved = passed;
  }

  // Repeats count for as long as the log lasts; identities only within the window.
  function take(block: Block, inWindow: boolean): void {
    let seq = block.from;
    for (let at = 0; inWindow && at < block.distances.length; at++) {
      seq += block.distances[at] as number;
      if (seq <= passed) continue;
      window.add(
        { hi: block.hashes[at * 2] as number, lo: block.hashes[at * 2 + 1] as number },
        seq,
      );
    }
    for (const [repeat, first] of block.repeats) if (repeat > passed) repeats.set(repeat, first);
    passed = Math.max(passed, block.to);
    ages.push({ seq: passed, atMs: block.toMs });
  }

  function note(message: JsMsg): void {
    const { seq } = message;
    if (seq <= lastSeen) return;
    lastSeen = seq;
    passedMs = message.info.timestampNanos / 1e6;
    const identity = peekIdentity(headerBlock(message), message.data);
    const key = identity === undefined ? undefined : hash(identity.source, identity.id);
    const first = key === undefined ? 0 : window.find(key);
    if (identity !== undefined && key !== undefined && first !== 0 && first < seq) {
      const question = { seq, answered: false, about: { identity, hash: key, first } };
      open.push(question);
      unasked.push(question);
      ask();
      return;
    }
    if (key !== undefined && first === 0) window.add(key, seq); // else it stands there from an earlier read
    if (open.size > 0) open.push({ seq, answered: true });
    else move(seq);
  }

  function move(to: number): void {
    passed = to;
    if (++sinceSaved >= blockEntries) void save();
    progress();
  }

  function ask(): void {
    const mine = life;
    while (asked < askedMax) {
      const question = unasked.shift();
      if (question === undefined) return;
      asked++;
      verdictOn(question).then(
        (isRepeat) => {
          if (mine === life) answer(question, isRepeat);
        },
        () => {
          if (mine === life) void again("an original could not be read");
        },
      );
    }
  }

  function answer(question: Question, isRepeat: boolean): void {
    asked--;
    const { seq, about } = question;
    if (isRepeat && about !== undefined) repeats.set(seq, about.first);
    else if (about !== undefined) window.add(about.hash, seq);
    question.answered = true;
    while (open.peek()?.answered) move((open.shift() as Question).seq);
    ask();
  }

  async function verdictOn({ about }: Question): Promise<boolean> {
    if (about === undefined) return false;
    const original = await readMessage(broker.nc, stream, { seq: about.first });
    if (original === undefined) return false; // cut: nobody can tell, so it is handled
    const found = eventOf(original.headers, original.data);
    return found !== undefined && sameIdentity(found, about.identity);
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

  function forgetBelow(seq: number): void {
    window.forgetBelow(seq);
    for (const repeat of repeats.keys()) {
      if (repeat >= seq) break;
      repeats.delete(repeat);
    }
  }

  async function upkeep(): Promise<void> {
    try {
      await save();
      const info = await streamInfo(broker.jsm, stream);
      if (info === undefined) return;
      follow(Date.parse(info.created));
      if (Date.parse(info.created) !== createdMs) return;
      forgetBelow(info.state.first_seq);
      await checkpoints.cutBelow(info.state.first_seq);
      forgetOld(Date.now());
    } catch {
      // derived, and done again in the next round; a lost connection is said by others
    }
  }

  function forgetOld(nowMs: number): void {
    const young = ages.findIndex((age) => age.atMs >= nowMs - limits.ageMs);
    const old = young < 0 ? ages.length : young;
    const last = ages[old - 1];
    if (last === undefined) return;
    window.forgetBelow(last.seq + 1);
    ages = ages.slice(old);
  }

  // Blocks are of bounded size and follow each other: after a failure the next round goes on at the same place.
  async function save(): Promise<void> {
    if (saving || createdMs === 0) return;
    saving = true;
    const mine = createdMs;
    sinceSaved = 0;
    try {
      while (saved < passed && mine === createdMs) {
        const from = saved + 1;
        const to = Math.min(passed, saved + blockEntries);
        const found = [...repeats].filter(([seq]) => seq >= from && seq <= to);
        const identities = window.slice(from, to);
        await checkpoints.save({
          createdMs,
          from,
          to,
          toMs: passedMs,
          ...identities,
          repeats: found,
        });
        if (mine !== createdMs) return; // made anew meanwhile
        saved = to;
        ages.push({ seq: to, atMs: passedMs });
      }
    } catch {
      // derived: what is missing is read again at the next start, or saved in the next round
    } finally {
      saving = false;
    }
  }

  return {
    passedOf: (created) => (created === createdMs ? passed : 0),
    follow,
    repeatOf: (seq) => repeats.get(seq) ?? 0,
    onProgress(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get size() {
      return window.size;
    },
    get bytes() {
      return window.bytes;
    },
    async stop() {
      stopped = true;
      life++;
      clearInterval(timer);
      await stopReading().catch(() => {});
      await save();
    },
  };
}
