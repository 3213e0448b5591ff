// The identity index of one stream: which event repeats an earlier one. A property of the log, so it is derived
// from the log alone, in stream order, once for all handlers; verdicts are equal live, after a restart, in a replay.
// I1 A verdict on a sequence is known once `passed` has reached it. I2 `passed` never moves over an open question.
// I3 A repeat is one only after both identities were compared: a hash collision loses nothing.
import {
  type Broker,
  headerBlock,
  identitiesStream,
  type JsMsg,
  readAll,
  readMessage,
  readOrdered,
  streamInfo,
} from "../../broker/index.ts";
import {
  type CloudEvent,
  decodeAttribute,
  decodeMessage,
  natsSubject,
  parseHeaderBlock,
  sameIdentity,
  token,
} from "../../events/index.ts";
import type { Report } from "../facts.ts";
import { type Block, decodeBlock, encodeBlock } from "./blocks.ts";
import { type Hash64, hashIdentity } from "./hash.ts";
import { createWindow, type Window } from "./window.ts";

export interface IdentityLimits {
  readonly countMax: number;
}

export interface Identities {
  readonly passed: number;
  /** The first sequence of the identity that this one repeats; 0 where it is the first itself. */
  repeatOf(seq: number): number;
  /** Calls back whenever `passed` has moved. */
  onProgress(listener: () => void): () => void;
  readonly size: number;
  readonly bytes: number;
  stop(): Promise<void>;
}

const blockEntries = 16_384;
const checkpointEveryMs = 30_000;

type Open = { readonly seq: number; answered: boolean };

export async function startIdentities(
  broker: Broker,
  stream: string,
  limits: IdentityLimits,
  report: Report,
  hash: (source: string, id: string) => Hash64 = hashIdentity,
): Promise<Identities> {
  const natsBlocks = natsSubject("identities", token(broker.app), token(stream));
  const listeners = new Set<() => void>();
  let window: Window = createWindow(limits.countMax);
  let repeats = new Map<number, number>();
  let createdMs = 0;
  let passed = 0;
  let checkpointed = 0;
  let sinceCheckpoint = 0;
  let open: Open[] = []; // in stream order: what is being verified, and what waits behind it
  let stopped = false;
  let stopReading = async () => {};
  let life = 0; // answers of an earlier read are dropped

  await restart();
  const timer = setInterval(() => void checkpoint(), checkpointEveryMs);
  timer.unref();

  async function restart(): Promise<void> {
    const mine = ++life;
    open = [];
    const info = await streamInfo(broker.jsm, stream);
    const created = Date.parse(info?.created ?? "");
    if (info === undefined || Number.isNaN(created))
      throw new Error(`stream ${stream} is not there`);
    if (created !== createdMs) await load(created);
    window.forgetBelow(info.state.first_seq);
    for (const seq of repeats.keys()) {
      if (seq >= info.state.first_seq) break;
      repeats.delete(seq);
    }
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
    report({
      kind: "trouble",
      code: "EDDY_IDENTITIES_BROKEN",
      about,
      message: `reading ${stream} for the identity index broke off (${why}); it is started again`,
    });
    for (let waitMs = 100; !stopped; waitMs = Math.min(waitMs * 2, 2_000)) {
      try {
        await restart();
        report({
          kind: "mended",
          code: "EDDY_IDENTITIES_BROKEN",
          about,
          message: `${stream} is read again`,
        });
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }

  async function load(created: number): Promise<void> {
    createdMs = created;
    window = createWindow(limits.countMax);
    repeats = new Map();
    passed = 0;
    let broken = false;
    await readAll(broker, identitiesStream, natsBlocks, (message) => {
      const block = decodeBlock(message.data);
      if (block !== undefined && block.createdMs !== created) return;
      if (block === undefined || (passed > 0 && block.from > passed + 1)) broken = true;
      if (!broken && block !== undefined) take(block);
    });
    checkpointed = passed;
  }

  function take(block: Block): void {
    for (const { hash, seq } of block.entries) if (seq > passed) window.add(hash, seq);
    for (const [seq, first] of block.repeats) if (seq > passed) repeats.set(seq, first);
    passed = Math.max(passed, block.to);
  }

  function note(message: JsMsg): void {
    const seq = message.seq;
    if (seq <= passed || seq <= (open.at(-1)?.seq ?? 0)) return;
    const identity = peek(headerBlock(message), message.data);
    if (identity === undefined) {
      settle(seq);
      return;
    }
    const key = hash(identity.source, identity.id);
    const first = window.find(key);
    if (first === 0) {
      window.add(key, seq);
      settle(seq);
      return;
    }
    const question: Open = { seq, answered: false };
    open.push(question);
    void verify(question, message, key, first, life);
  }

  function settle(seq: number): void {
    sinceCheckpoint++;
    if (open.length > 0) open.push({ seq, answered: true });
    else {
      passed = seq;
      progress();
    }
    if (sinceCheckpoint >= blockEntries) void checkpoint();
  }

  async function verify(question: Open, message: JsMsg, key: Hash64, first: number, mine: number) {
    const verdict = await compare(message, first).catch(() => undefined);
    if (mine !== life) return;
    if (verdict === undefined) return void again("an original could not be read");
    if (verdict) repeats.set(question.seq, first);
    else window.add(key, question.seq);
    question.answered = true;
    sinceCheckpoint++;
    while (open[0]?.answered) passed = (open.shift() as Open).seq;
    progress();
  }

  async function compare(message: JsMsg, first: number): Promise<boolean> {
    const event = eventOf(headerBlock(message), message.data);
    if (event === undefined) return false;
    const original = await readMessage(broker.nc, stream, { seq: first });
    if (original === undefined) return false; // cut from the head: nobody can say any more, so it is handled
    const found = eventOf(original.headers, original.data);
    return found !== undefined && sameIdentity(found, event);
  }

  function progress(): void {
    for (const listener of listeners) listener();
  }

  // One message holds at most one block's worth; what a longer gap needs becomes several.
  async function checkpoint(): Promise<void> {
    if (passed <= checkpointed) return;
    const from = checkpointed + 1;
    const to = passed;
    checkpointed = to;
    sinceCheckpoint = 0;
    const entries = [...window.entries(from)].filter((entry) => entry.seq <= to);
    const found = [...repeats].filter(([seq]) => seq >= from && seq <= to);
    let start = from;
    for (let at = 0; at === 0 || at < entries.length; at += blockEntries) {
      const part = entries.slice(at, at + blockEntries);
      const isLast = at + blockEntries >= entries.length;
      const end = isLast ? to : (part.at(-1)?.seq ?? to);
      const inPart = found.filter(([seq]) => seq >= start && seq <= end);
      const block = { createdMs, from: start, to: end, entries: part, repeats: inPart };
      await broker.js.publish(natsBlocks, encodeBlock(block)).catch(() => undefined); // derived: re-read instead
      start = end + 1;
    }
  }

  return {
    get passed() {
      return passed;
    },
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
      await stopReading();
      await checkpoint();
    },
  };
}

function eventOf(block: Uint8Array | undefined, data: Uint8Array): CloudEvent | undefined {
  const decoded = decodeMessage(block === undefined ? undefined : parseHeaderBlock(block), data);
  return decoded.ok ? decoded.event : undefined;
}

// Binary mode names its identity in two headers: enough to look it up. Whether the rest makes it an event is
// asked only on a hit, by `compare`.
function peek(
  block: Uint8Array | undefined,
  data: Uint8Array,
): { readonly source: string; readonly id: string } | undefined {
  if (block === undefined) return eventOf(block, data);
  const fields = parseHeaderBlock(block);
  const id = decodeAttribute(fields.get("ce-id")?.[0] ?? "");
  const source = decodeAttribute(fields.get("ce-source")?.[0] ?? "");
  return id && source ? { id, source } : eventOf(block, data);
}
