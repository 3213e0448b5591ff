// What stands at positions above the known part of a stream, kept until the positions between are known too. Pure.
// P1 Bounded: what is brought from too far above is not kept, and has to be read again.
import type { Identity } from "./identity.ts";

export interface Piece {
  readonly seq: number;
  /** Undefined where no event stands there. */
  readonly identity: Identity | undefined;
  readonly storedMs: number;
}

export interface Pieces {
  put(piece: Piece, known: number): void;
  /** The piece at a position, which is forgotten with it. */
  take(seq: number): Piece | undefined;
  clear(): void;
}

const room = 16_384; // as many as a handler may have in flight

export function createPieces(): Pieces {
  const kept: (Piece | undefined)[] = new Array(room);
  return {
    put(piece, known) {
      if (piece.seq - known <= room) kept[piece.seq % room] = piece;
    },
    take(seq) {
      const piece = kept[seq % room];
      if (piece?.seq !== seq) return undefined;
      kept[seq % room] = undefined;
      return piece;
    },
    clear: () => void kept.fill(undefined),
  };
}
