// Where blocks of the identity index are kept: one subject of the IDENTITIES stream for each app and stream.
// P1 Blocks are kept as long as the log that they cover. P2 A lost or unreadable block costs a re-read of the log
// from there on, never a verdict.
import { type Broker, identitiesStream, readAll } from "../../broker/index.ts";
import { natsSubject, token } from "../../events/index.ts";
import { type Block, decodeBlock, encodeBlock } from "./blocks.ts";

export interface Checkpoints {
  /** The blocks that follow each other without a gap, oldest first. */
  load(createdMs: number): Promise<Block[]>;
  save(block: Block): Promise<void>;
  /** Removes blocks that cover only what is below a sequence. */
  cutBelow(seq: number): Promise<void>;
}

export function openCheckpoints(broker: Broker, stream: string): Checkpoints {
  const subject = natsSubject("identities", token(broker.app), token(stream));
  let kept: { readonly at: number; readonly to: number }[] = []; // sequence of a block, and what it covers up to

  return {
    async load(createdMs) {
      const blocks: Block[] = [];
      kept = [];
      let broken = false;
      let covered = 0;
      await readAll(broker, identitiesStream, subject, (message) => {
        const block = decodeBlock(message.data);
        if (block !== undefined && block.createdMs !== createdMs) return; // of a stream that was deleted since
        if (block === undefined || (covered > 0 && block.from > covered + 1)) broken = true;
        if (block === undefined || broken) return;
        covered = Math.max(covered, block.to);
        blocks.push(block);
        kept.push({ at: message.seq, to: block.to });
      });
      return blocks;
    },
    async save(block) {
      const ack = await broker.js.publish(subject, encodeBlock(block));
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
