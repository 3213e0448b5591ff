// The committer of one destination stream: what is finished, of all its handlers, becomes one atomic batch with a
// ledger record of each handler in it. Owns the queue and the one batch under way.
// K1 Batches are serial and units of a handler stay in order. K2 A unit is stored whole, with its ledger record,
// or not at all. K3 A batch without an answer is looked up in the ledgers, never sent blindly again.
// K4 While a batch is under way the next group fills; a lone unit with effects waits for nobody, and pays for no batch:
// the record of a small group carries its effects (ahead.ts).
import {
  type BatchMessage,
  type BatchResult,
  type Broker,
  batchMessagesMax,
  readMessage,
  storeBatch,
  storeExplained,
} from "../broker/index.ts";
import { type Ahead, missingAhead, publishAhead } from "./ahead.ts";
import type { Report } from "./facts.ts";
import { byLedger, bytesOf, effectsOf, fewLedgers, isSmall, takeBack, type Unit } from "./group.ts";
import type { Ledger } from "./ledger/ledger.ts";
import { fullText, unableText, unansweredText, whyRefused } from "./refusals.ts";

export interface Committer {
  submit(unit: Unit): void;
  /** Resolves once nothing that was submitted before is queued or under way. */
  settled(): Promise<void>;
  stop(): void;
}

const bytesMax = 512 * 1024;
const lingerMs = { few: 10, many: 50 }; // for groups without effects: nobody waits for them
const lingerUnits = { least: 500, ofLedger: 20 }; // a record for each event or two would cost more than the event
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
  let queued = new Set<Ledger>();
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
    queued.add(unit.ledger);
    submitted++;
    effects += unit.messages.length;
    if (!busy) schedule();
  }

  function schedule(): void {
    const enough = Math.max(lingerUnits.least, lingerUnits.ofLedger * queued.size);
    if (effects > 0 || queue.length >= enough || waiters.length > 0) {
      clearTimeout(linger);
      linger = undefined;
      soon ??= setImmediate(pump); // what this turn of the event loop still finishes comes along
    } else if (soon === undefined) {
      linger ??= setTimeout(pump, queued.size > fewLedgers ? lingerMs.many : lingerMs.few);
    }
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
    if (isSmall(group)) await Promise.all(byLedger(group).map((units) => storeSmall(units)));
    else await storeGroup(group);
    settledUnits += group.length;
  }

  // The units of one ledger, whose record carries their effects; behind each record what is missing is published.
  async function storeSmall(all: readonly Unit[]): Promise<void> {
    const ledger = all[0]?.ledger;
    if (ledger === undefined || !ledger.held) return;
    const began = performance.now();
    let units = all;
    let since = 0;
    for (const unit of units) ledger.include(unit);
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
      const ahead = { since, messages: effectsOf(units) };
      const record = ledger.nextRecord(ahead.messages.length === 0 ? undefined : ahead);
      const outcome = await understand(await storeBatch(broker.nc, [record], answerMs), [ledger]);
      if (outcome.kind === "lost") {
        takeBack(units);
        ledger.lose();
        return;
      }
      if (outcome.kind === "refused" && since === 0) {
        takeBack(units);
        return await storeGroup(units);
      }
      if (outcome.kind === "stored") {
        const seq = outcome.seqs[0] as number;
        ledger.stored(seq);
        onStored(seq, [record]);
        const left = await publishEffects(ledger, ahead, seq);
        if (left.kind === "none") {
          ledger.settled();
          reportStored(units, [...ahead.messages, record], began);
          return;
        }
        if (since === 0) since = seq;
        if (left.kind === "refused") units = dropRefused(units, left.messages, left.why);
      }
      if (stopped) return;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  type Left =
    | { kind: "none" | "some" }
    | { kind: "refused"; messages: readonly BatchMessage[]; why: string };

  async function publishEffects(ledger: Ledger, ahead: Ahead, seq: number): Promise<Left> {
    const { place } = ledger;
    try {
      const missing = ahead.since === 0 ? ahead.messages : await missingAhead(broker, place, ahead);
      const results = await publishAhead(broker, place, missing, seq, answerMs);
      const refused: BatchMessage[] = [];
      let left: Left = { kind: "none" };
      for (const [at, result] of results.entries()) {
        const message = missing[at] as BatchMessage;
        if (result.kind === "stored") onStored(result.lastSeq, [message]);
        else if (left.kind !== "refused") left = { kind: "some" };
        if (result.kind === "full") trouble("EDDY_HOME_FULL", fullText(stream, result.description));
        if (result.kind === "unable") trouble("EDDY_STREAM_UNABLE", unableText(stream, result));
        if (result.kind !== "refused") continue;
        refused.push(message);
        left = { kind: "refused", messages: refused, why: whyRefused(result) };
      }
      return left;
    } catch {
      trouble("EDDY_COMMIT_UNANSWERED", unansweredText(stream));
      return { kind: "some" };
    }
  }

  function dropRefused(
    units: readonly Unit[],
    refused: readonly BatchMessage[],
    why: string,
  ): Unit[] {
    const isRefused = ({ messages: [message] }: Unit) =>
      message !== undefined && refused.some((one) => one === message || isSameEntry(one, message));
    const dropped = units.filter(isRefused);
    takeBack(dropped);
    for (const unit of dropped) unit.onRefused(why);
    return units.filter((unit) => !isRefused(unit));
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
    const group = queue;
    queue = group.splice(at);
    queued = new Set(queue.map(({ ledger }) => ledger));
    return group;
  }

  async function storeGroup(units: readonly Unit[], explained = false): Promise<void> {
    const group = units.filter((unit) => unit.ledger.held);
    if (group.length === 0) return;
    for (const unit of group) unit.ledger.include(unit);
    let store = explained ? storeExplained : storeBatch;
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
      const ledgers = [...new Set(group.map((unit) => unit.ledger))];
      const batch = [...effectsOf(group), ...ledgers.map((ledger) => ledger.nextRecord())];
      const began = performance.now();
      const result = await store(broker.nc, batch, answerMs);
      const outcome = await understand(result, ledgers);
      if (result.kind === "incomplete") store = storeExplained;
      switch (outcome.kind) {
        case "stored":
          for (const [at, ledger] of ledgers.entries()) {
            ledger.stored(outcome.seqs[at] as number);
            ledger.settled();
          }
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
    await storeGroup(group.slice(0, half), true);
    await storeGroup(group.slice(half), true);
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
        return { kind: "refused", why: whyRefused(result) };
      case "full":
        trouble("EDDY_HOME_FULL", fullText(stream, result.description));
        return { kind: "again" };
      case "unable":
        trouble("EDDY_STREAM_UNABLE", unableText(stream, result));
        return { kind: "again" };
      case "unanswered":
      case "incomplete":
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
      trouble("EDDY_COMMIT_UNANSWERED", unansweredText(stream));
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

// Of the folds of one entry only the last is stored.
function isSameEntry(one: BatchMessage, other: BatchMessage): boolean {
  return one.identity === undefined && one.natsSubject === other.natsSubject;
}
