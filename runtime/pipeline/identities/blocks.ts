// Checkpoints of the identity index as compact blocks: derived from the log, so any loss only costs a re-read. Pure.
// B1 A block covers sequences from..to completely. B2 Blocks of two instances may overlap: both are right.
import { Packr, Unpackr } from "msgpackr";

export interface Block {
  /** When the stream that it indexes was created, in ms. */
  readonly createdMs: number;
  readonly from: number;
  readonly to: number;
  /** When the last event in it was stored, in ms. */
  readonly toMs: number;
  /** Hashes as pairs of high and low word, and how far each one's sequence is from the one before. */
  readonly hashes: Uint32Array;
  readonly distances: Uint32Array;
  /** Sequences that repeat an earlier one, each with the first. */
  readonly repeats: readonly (readonly [seq: number, firstSeq: number])[];
}

const format = 1;
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

export function encodeBlock(block: Block): Uint8Array {
  return packr.pack([
    format,
    block.createdMs,
    block.from,
    block.to,
    block.toMs,
    bytes(block.hashes),
    bytes(block.distances),
    block.repeats,
  ]);
}

/** The block, or undefined for bytes that are none: the log is read again instead. */
export function decodeBlock(packed: Uint8Array): Block | undefined {
  try {
    const [version, createdMs, from, to, toMs, hashBytes, distanceBytes, repeats] = unpackr.unpack(
      packed,
    ) as Wire;
    if (version !== format || !Array.isArray(repeats)) return undefined;
    const hashes = words(hashBytes);
    const distances = words(distanceBytes);
    const reached = distances.reduce((seq, distance) => seq + distance, from);
    if (hashes.length !== distances.length * 2 || !(reached <= to)) return undefined;
    return { createdMs, from, to, toMs, hashes, distances, repeats };
  } catch {
    return undefined;
  }
}

type Wire = [
  version: unknown,
  createdMs: number,
  from: number,
  to: number,
  toMs: number,
  hashes: Uint8Array,
  distances: Uint8Array,
  repeats: [number, number][],
];

function bytes(numbers: Uint32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

function words(packed: Uint8Array): Uint32Array {
  const aligned = new Uint8Array(packed); // a copy: what is unpacked may start at any address
  return new Uint32Array(aligned.buffer, 0, aligned.byteLength >>> 2);
}
