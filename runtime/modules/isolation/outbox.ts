// What a thread says, gathered: one message for all of a turn, with all bytes in one piece.
import type { FromThread, Parcelled } from "./protocol.ts";

export interface Outbox {
  /** Says it at the end of this turn, or with the next `flush`. Bytes are those that the item speaks of, in order. */
  say(item: FromThread, bytes?: readonly Uint8Array[]): void;
  flush(): void;
}

export function createOutbox(post: (parcel: Parcelled, bytes: ArrayBuffer) => void): Outbox {
  let items: FromThread[] = [];
  let pieces: Uint8Array[] = [];
  let timer: NodeJS.Immediate | undefined;

  function flush(): void {
    clearImmediate(timer);
    timer = undefined;
    if (items.length === 0) return;
    const said = items;
    const bytes = joined(pieces);
    items = [];
    pieces = [];
    post({ items: said, bytes }, bytes.buffer);
  }

  return {
    say(item, bytes = []) {
      items.push(item);
      for (const piece of bytes) pieces.push(piece);
      timer ??= setImmediate(flush);
    },
    flush,
  };
}

/** All pieces in one buffer of its own, which may change hands. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const piece of pieces) length += piece.byteLength;
  const whole = new Uint8Array(new ArrayBuffer(length));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}
