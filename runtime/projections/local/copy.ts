// What a process keeps of a projection's entries. Pure memory: fed with what was stored, from wherever it is known.
// C1 An entry only goes forward: what comes with a lower sequence than is known changes nothing. C2 Of a bounded copy an
// entry that is not kept is unknown, never absent. C3 What changes while the server is asked counts before its answer.
import type { Local } from "../../authoring/index.ts";
import { parseEntry } from "../entry.ts";

/** What was stored of a key; without text it was deleted, or never there (sequence 0). */
export interface Version {
  readonly seq: number;
  readonly text: string | undefined;
}

/** JSON has bytes: what has none was deleted. */
export function textOf(data: Uint8Array): string | undefined {
  if (data.byteLength === 0) return undefined;
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8");
}

export interface Copy {
  /** The value as it is known here; undefined where it is not known.
   * @throws EddyError `EDDY_ENTRY_UNREADABLE` */
  look(key: string): { readonly value: unknown } | undefined;
  /** A message of the bucket, in its order. */
  follow(key: string, version: Version): void;
  /** What was stored or read on another way than the bucket's order; only of what is kept, or asked for. */
  learn(key: string, version: Version): void;
  /** The server is being asked for the key. Ends with the newest that is known then; undefined: there was no answer. */
  ask(key: string): (answer: Version | undefined) => { readonly value: unknown };
  readonly entries: number;
  readonly sizeBytes: number;
}

interface Kept extends Version {
  readonly sizeBytes: number;
  text: string | undefined;
  /** Read from the text when it is first asked for. */
  parsed: { readonly value: unknown } | undefined;
}

interface Question {
  askers: number;
  newest: Version | undefined;
}

/** About what map, object and string of an entry take, besides their characters. */
const overheadBytes = 200;

export function createCopy(name: string, local: Local, bytesMax: number): Copy {
  const kept = new Map<string, Kept>(); // of a bounded copy in order of use: the first is the oldest
  const questions = new Map<string, Question>();
  const bound = local === "all" ? Number.POSITIVE_INFINITY : local;
  let sizeBytes = 0;
  let followed = 0;

  function keep(key: string, { seq, text }: Version): void {
    drop(key);
    if (local === "all" && text === undefined && seq <= followed) return; // nothing older can come
    const entry = {
      ...{ seq, text, parsed: undefined },
      sizeBytes: overheadBytes + key.length * 2 + (text?.length ?? 0),
    };
    kept.set(key, entry);
    sizeBytes += entry.sizeBytes;
    if (local === "all") return;
    for (const oldest of kept.keys()) {
      if (kept.size <= bound && (sizeBytes <= bytesMax || kept.size === 1)) return;
      drop(oldest);
    }
  }

  function drop(key: string): void {
    const entry = kept.get(key);
    if (entry === undefined) return;
    kept.delete(key);
    sizeBytes -= entry.sizeBytes;
  }

  function read(key: string, entry: Kept): { readonly value: unknown } {
    if (entry.parsed !== undefined) return entry.parsed;
    const value = entry.text === undefined ? undefined : frozen(parseEntry(name, key, entry.text));
    entry.parsed = { value };
    entry.text = undefined;
    return entry.parsed;
  }

  function note(key: string, version: Version): void {
    const question = questions.get(key);
    if (question !== undefined) question.newest = newer(question.newest, version);
  }

  return {
    look(key) {
      const entry = kept.get(key);
      if (entry === undefined) return local === "all" ? absent : undefined;
      if (local !== "all") {
        kept.delete(key);
        kept.set(key, entry);
      }
      return read(key, entry);
    },
    follow(key, version) {
      note(key, version);
      followed = version.seq;
      const known = kept.get(key);
      if ((known?.seq ?? 0) > version.seq) return;
      if (local !== "all" && known === undefined) return;
      if (known?.seq === version.seq && version.text !== undefined) return; // learned before
      keep(key, version);
    },
    learn(key, version) {
      note(key, version);
      const known = kept.get(key);
      if ((known?.seq ?? 0) >= version.seq) return;
      if (local === "all" || known !== undefined) keep(key, version);
    },
    ask(key) {
      const question = questions.get(key) ?? { askers: 0, newest: undefined };
      questions.set(key, question);
      question.askers++;
      return (answer) => {
        if (--question.askers === 0) questions.delete(key);
        const known = kept.get(key);
        if (answer === undefined) return known === undefined ? absent : read(key, known);
        const newest = newer(question.newest, answer);
        if (known !== undefined && known.seq >= newest.seq) return read(key, known);
        if (local === "all" && newest.seq === 0) return absent;
        keep(key, newest);
        const now = kept.get(key);
        return now === undefined ? absent : read(key, now);
      };
    },
    get entries() {
      return kept.size;
    },
    get sizeBytes() {
      return sizeBytes;
    },
  };
}

const absent = { value: undefined };

function newer(one: Version | undefined, other: Version): Version {
  return one !== undefined && one.seq > other.seq ? one : other;
}

/** All readers get the same object: whoever could change it would change it for everybody. */
function frozen(value: unknown): unknown {
  const open = [value]; // no recursion: nobody says how deep it is
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    if (typeof part !== "object" || part === null) continue;
    for (const inner of Object.values(part)) open.push(inner);
    Object.freeze(part);
  }
  return value;
}
