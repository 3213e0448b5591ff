// The committer of one destination stream: what is finished, of all its handlers, becomes one atomic batch with a
// ledger record of each handler in it. Owns the queue and the one batch under way.
// K1 Batches are serial and units of a handler stay in order. K2 A unit is stored whole, with its ledger record,
// or not at all. K3 A batch without an answer is looked up in the ledgers, never sent blindly again.
// K4 While a batch is under way the next group fills; a lone unit with effects waits for nobody.
import {
  type BatchMessage,
  type BatchResult,
  type Broker,
  batchMessagesMax,
  readMessage,
  storeBatch,
} from "../broker/index.ts";
import type { Report } from "./facts.ts";
import type { Ledger, Settlement } from "./ledger/ledger.ts";

/** What one finished event stores. */
export interface Unit extends Settlement {
  readonly ledger: Ledger;
  readonly messages: readonly BatchMessage[];
  /** `nowMs` on the clock of `performance.now()`. */
  onStored(nowMs: number): void;
  /** The server will not store these messages; nothing of the unit is stored. */
  onRefused(why: string): void;
}

export interface Committer {
  submit(unit: Unit): void;
  /** Resolves once nothing that was submitted before is queued or under way. */
  settled(): Promise<void>;
  stop(): void;
}

const bytesMax = 512 * 1024;
const lingerMs = 10; // for groups without effects: nobody waits for them
const lingerUnits = 500;
const unitsMax = 10_000; // of events without effects: so that none of them waits long for its report
const answerMs = 5_000;

/** `onStored` learns at which sequence a batch begins, and what is in it. */
export function createCommitter(
  broker: Broker,
  stream: string,
  report: Report,
  onStored: (firstSeq: number, batch: readonly BatchMessage[]) => void,
): Committer {
  let queue: Unit[] = [];
  let effects = 0; // messages queued besides ledgers
  let busy = false;
  let linger: NodeJS.Timeout | undefined;
  let soon: NodeJS.Immediate | undefined;
  let submitted = 0;
  let settledUnits = 0;
  let waiters: { readonly after: number; readonly resolve: () => void }[] = [];
  let stopped = false;

  function submit(unit: Unit): void {
    queue.push(unit);
    submitted++;
    effects += unit.messages.length;
    if (!busy) schedule();
  }

  function schedule(): void {
    if (effects > 0 || queue.length >= lingerUnits || waiters.length > 0) {
      clearTimeout(linger);
      linger = undefined;
      soon ??= setImmediate(pump); // what this turn of the event loop still finishes comes along
    } else if (soon === undefined) linger ??= setTimeout(pump, lingerMs);
  }

  function pump(): void {
    clearTimeout(linger);
    linger = undefined;
    soon = undefined;
    if (busy) return;
    busy = true;
    void drain().finally(() => {
      busy = false;
      const done = waiters.filter(({ after }) => after <= settledUnits);
      waiters = waiters.filter(({ after }) => after > settledUnits);
      for (const { resolve } of done) resolve();
      if (queue.length > 0 && !stopped) schedule();
    });
  }

  async function drain(): Promise<void> {
    const group = take();
    if (group.length > 0) await storeGroup(group);
    settledUnits += group.length;
  }

  // Whole units, as many as one batch holds.
  function take(): Unit[] {
    const ledgers = new Set<Ledger>();
    let messages = 0;
    let bytes = 0;
    let at = 0;
    for (; at < queue.length && at < unitsMax; at++) {
      const unit = queue[at] as Unit;
      const size = bytesOf(unit.messages);
      const more = unit.messages.length + (ledgers.has(unit.ledger) ? 0 : 1);
      if (at > 0 && (messages + more > batchMessagesMax || bytes + size > bytesMax)) break;
      ledgers.add(unit.ledger);
      messages += more;
      bytes += size;
    }
    effects -= messages - ledgers.size;
    if (at < queue.length) return queue.splice(0, at);
    const group = queue;
    queue = [];
    return group;
  }

  async function storeGroup(units: readonly Unit[]): Promise<void> {
    const group = units.filter((unit) => unit.ledger.held);
    if (group.length === 0) return;
    for (const unit of group) unit.ledger.include(unit);
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
      const ledgers = [...new Set(group.map((unit) => unit.ledger))];
      const batch = [...effectsOf(group), ...ledgers.map((ledger) => ledger.nextRecord())];
      const began = performance.now();
      const result = await storeBatch(broker.nc, batch, answerMs);
      const outcome = await understand(result, ledgers);
      switch (outcome.kind) {
        case "stored":
          for (const [at, ledger] of ledgers.entries()) ledger.stored(outcome.seqs[at] as number);
          onStored((outcome.seqs.at(-1) as number) - batch.length + 1, batch);
          reportStored(group, batch, began);
          return;
        case "lost":
          takeBack(group);
          for (const ledger of outcome.ledgers) ledger.lose();
          return await storeGroup(group);
        case "refused":
          takeBack(group);
          return await findCulprit(group, outcome.why);
        case "again":
          if (stopped) return;
          await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }

  // One unit that the server will not store must not hold up the others: halves, down to the one.
  async function findCulprit(group: readonly Unit[], why: string): Promise<void> {
    const [only] = group;
    if (group.length === 1 && only !== undefined) {
      only.onRefused(why);
      return;
    }
    const half = group.length >>> 1;
    await storeGroup(group.slice(0, half));
    await storeGroup(group.slice(half));
  }

  type Understood =
    | { kind: "stored"; seqs: readonly number[] }
    | { kind: "lost"; ledgers: readonly Ledger[] }
    | { kind: "refused"; why: string }
    | { kind: "again" };

  async function understand(result: BatchResult, ledgers: readonly Ledger[]): Promise<Understood> {
    switch (result.kind) {
      case "stored": {
        const first = result.lastSeq - ledgers.length + 1;
        mended();
        return { kind: "stored", seqs: ledgers.map((_, at) => first + at) };
      }
      case "refused":
        return { kind: "refused", why: `${result.description} (${result.code})` };
      case "full":
        trouble("EDDY_HOME_FULL", fullText(stream, result.description));
        return { kind: "again" };
      case "unable":
        trouble("EDDY_STREAM_UNABLE", unableText(stream, result));
        return { kind: "again" };
      case "unanswered":
      case "stale":
        return await lookUp(ledgers);
    }
  }

  // The ledgers' last records say what happened: batches are all or nothing.
  async function lookUp(ledgers: readonly Ledger[]): Promise<Understood> {
    try {
      const last = await Promise.all(
        ledgers.map((ledger) =>
          readMessage(broker.nc, stream, { last_by_subj: ledger.place.ledger }),
        ),
      );
      const own = (ledger: Ledger, at: number) => {
        const found = last[at];
        return found !== undefined && found.seq !== ledger.lastSeq && ledger.isOwn(found.data);
      };
      if (ledgers.every(own)) return { kind: "stored", seqs: last.map((found) => found?.seq ?? 0) };
      const lost = ledgers.filter((ledger, at) => (last[at]?.seq ?? 0) !== ledger.lastSeq);
      mended();
      return lost.length > 0 ? { kind: "lost", ledgers: lost } : { kind: "again" };
    } catch {
      trouble(
        "EDDY_COMMIT_UNANSWERED",
        `a batch to ${stream} was not answered; it is looked up in the ledgers as soon as the server answers`,
      );
      return { kind: "again" };
    }
  }

  let troubled: string | undefined;

  function trouble(code: string, message: string): void {
    if (troubled === code) return;
    troubled = code;
    report({ kind: "trouble", code, about: stream, message });
  }

  function mended(): void {
    if (troubled === undefined) return;
    report({
      kind: "mended",
      code: troubled,
      about: stream,
      message: `batches to ${stream} are stored again`,
    });
    troubled = undefined;
  }

  function reportStored(group: readonly Unit[], batch: readonly BatchMessage[], began: number) {
    const now = performance.now();
    const ms = now - began;
    report({ kind: "commit", stream, messages: batch.length, bytes: bytesOf(batch), ms });
    for (const unit of group) unit.onStored(now);
  }

  return {
    submit,
    settled() {
      if (settledUnits === submitted) return Promise.resolve();
      return new Promise((resolve) => {
        waiters.push({ after: submitted, resolve });
        if (!busy) schedule();
      });
    },
    stop() {
      stopped = true;
      queue = [];
    },
  };
}

function bytesOf(messages: readonly BatchMessage[]): number {
  let bytes = 0;
  for (const { headerLines, data } of messages) bytes += headerLines.length + data.byteLength;
  return bytes;
}

// A later entry of the same key replaces the earlier one: only the last value of a group is stored.
function effectsOf(group: readonly Unit[]): BatchMessage[] {
  const messages: BatchMessage[] = [];
  const entries = new Map<string, number>();
  for (const unit of group) {
    for (const message of unit.messages) {
      if (!message.natsSubject.startsWith("$KV.")) {
        messages.push(message);
        continue;
      }
      const known = entries.get(message.natsSubject);
      if (known === undefined) entries.set(message.natsSubject, messages.push(message) - 1);
      else messages[known] = message;
    }
  }
  return messages;
}

function takeBack(group: readonly Unit[]): void {
  for (const unit of group) unit.ledger.exclude(unit);
}

function unableText(stream: string, { code, description }: { code: number; description: string }) {
  return (
    `stream ${stream} takes no batch: ${description} (${code}). Nothing is dropped; handlers wait. Look at the ` +
    "stream's settings and at the log of nats-server; a restart of the runtime sets what it needs"
  );
}

function fullText(stream: string, description: string): string {
  return (
    `stream ${stream} refuses to store: ${description}. Nothing is dropped; handlers wait until there is room. ` +
    "Raise home.maxBytes, lower home.retention, or see which handler is far behind (eddy handlers)"
  );
}
