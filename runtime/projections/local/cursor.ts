// The position that a local copy reflects, told by the projection's own records, which stand between its entries. Pure.
// P1 A record that carries entries (ahead) counts once all of them have been seen.
import type { Position } from "../../events/index.ts";
import { decodeRecord, type LedgerRecord } from "../../pipeline/index.ts";

export interface Cursor {
  /** A record of the projection's cursor. */
  record(data: Uint8Array): void;
  /** Any other message. */
  passed(natsSubject: string): void;
  /** How far the projection has come in its home stream, or in the first one it reads. */
  readonly position: Position | undefined;
}

export function createCursor(home: string): Cursor {
  let position: Position | undefined;
  let due: { readonly position: Position | undefined; readonly missing: Set<string> } | undefined;
  return {
    record(data) {
      const record = readable(data);
      const inputs = record?.inputs ?? [];
      const input = inputs.find(({ stream }) => stream === home) ?? inputs[0];
      const at = input && { stream: input.stream, seq: input.floor };
      const { ahead } = record ?? {};
      if (ahead === undefined) {
        position = at;
        due = undefined;
      } else if (ahead.since === 0) {
        due = { position: at, missing: new Set(ahead.messages.map((one) => one.natsSubject)) };
      } // else the same entries again: what was missing of them is so still
    },
    passed(natsSubject) {
      if (due === undefined) return;
      due.missing.delete(natsSubject);
      if (due.missing.size > 0) return;
      position = due.position;
      due = undefined;
    },
    get position() {
      return position;
    },
  };
}

// Of a version that is not known here, nobody can tell.
function readable(data: Uint8Array): LedgerRecord | undefined {
  try {
    return decodeRecord(data);
  } catch {
    return undefined;
  }
}
