// Where blocks of the identity index are kept: one subject of the IDENTITIES stream for each app and stream.
// P1 Blocks are kept as long as the log that they cover. P2 A lost or unreadable block costs a re-read of the log
// from there on, never a verdict: what is loaded covers the log from its first sequence without a gap.
import {
  type Broker,
  ensureStream,
  identitiesStream,
  identitiesStreamConfig,
  readAll,
} from "../../broker/index.ts";
import { natsSubject, token } from "../../events/index.ts";
import { type Block, decodeBlock, encodeBlock } from "./blocks.ts";

export interface Checkpoints {
  /** The blocks that cover the stream from `firstSeq` on and follow each other without a gap, oldest first. */
  load(createdMs: number, firstSeq: number): Promise<Block[]>;
  save(block: Block): Promise<void>;
  /** Removes blocks that cover only what is below a sequence. */
  cutBelow(seq: number): Promise<void>;
}

export function openCheckpoints(broker: Broker, stream: string): Checkpoints {
  const subject = natsSubject("identities", token(broker.app), token(stream));
  let kept: { readonly at: number; readonly to: number }[] = []; // sequence of a block, and what it covers up to

  return {
    async load(createdMs, firstSeq) {
      const blocks: Block[] = [];
      kept = [];
      let covered = firstSeq - 1;
      await readAll(broker, identitiesStream, subject, (message) => {
        const block = decodeBlock(message.data);
        if (block === undefined || block.createdMs !== createdMs) return; // none, or of a stream that is gone
        // After a gap nothing fits until a block that was written after a re-read closes it.
        if (block.from > covered + 1 || block.to <= covered) return;
        covered = block.to;
        blocks.push(block);
        kept.push({ at: message.seq, to: block.to });
      });
      return blocks;
    },
    async save(block) {
      const bytes = encodeBlock(block);
      const ack = await broker.js.publish(subject, bytes).catch(async () => {
        await ensureStream(broker.jsm, identitiesStreamConfig); // it may have been deleted
        return await broker.js.publish(subject, bytes);
      });
      kept.push({ at: ack.seq, to: block.to });
    },
    async cutBelow(seq) {
      const stays = kept.findIndex((block) => block.to >= seq);
      const first = kept[stays];
      if (stays <= 0 || first === undefined) return;
      await broker.jsm.streams.purge(identitiesStream, { filter: subject, seq: first.at });
      kept = kept.slice(stays);
    },
  };
}
