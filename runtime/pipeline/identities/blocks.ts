// Checkpoints of the identity index as compact blocks in a stream: derived, so any loss only costs a re-read.
// B1 A block covers sequences from..to completely. B2 Blocks of two instances may overlap: both are right.
import { Packr, Unpackr } from "msgpackr";
import type { Hash64 } from "./hash.ts";

export interface Block {
  /** When the stream that it indexes was created, in ms. */
  readonly createdMs: number;
  readonly from: number;
  readonly to: number;
  readonly entries: readonly { readonly hash: Hash64; readonly seq: number }[];
  /** Sequences that repeat an earlier one, each with the first. */
  readonly repeats: readonly (readonly [seq: number, firstSeq: number])[];
}

const format = 1;
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

export function encodeBlock(block: Block): Uint8Array {
  const hashes = new Uint32Array(block.entries.length * 2);
  const seqs = new Uint32Array(block.entries.length); // distances to the entry before
  let before = block.from;
  block.entries.forEach(({ hash, seq }, at) => {
    hashes[at * 2] = hash.hi;
    hashes[at * 2 + 1] = hash.lo;
    seqs[at] = seq - before;
    before = seq;
  });
  return packr.pack([
    format,
    block.createdMs,
    block.from,
    block.to,
    Buffer.from(hashes.buffer),
    Buffer.from(seqs.buffer),
    block.repeats,
  ]);
}

/** The block, or undefined for bytes that are none: the log is read again instead. */
export function decodeBlock(bytes: Uint8Array): Block | undefined {
  try {
    const [version, createdMs, from, to, hashBytes, seqBytes, repeats] = unpackr.unpack(
      bytes,
    ) as Wire;
    const hashes = words(hashBytes);
    const distances = words(seqBytes);
    if (version !== format || hashes.length !== distances.length * 2) return undefined;
    let seq = from;
    const entries = Array.from(distances, (distance, at) => {
      seq += distance;
      return { hash: { hi: hashes[at * 2] as number, lo: hashes[at * 2 + 1] as number }, seq };
    });
    if (seq > to) return undefined;
    return { createdMs, from, to, entries, repeats };
  } catch {
    return undefined;
  }
}

type Wire = [
  version: unknown,
  createdMs: number,
  from: number,
  to: number,
  hashes: Uint8Array,
  seqs: Uint8Array,
  repeats: [number, number][],
];

function words(bytes: Uint8Array): Uint32Array {
  const aligned = new Uint8Array(bytes); // a copy: what is unpacked may start at any address
  return new Uint32Array(aligned.buffer, 0, aligned.byteLength >>> 2);
}
