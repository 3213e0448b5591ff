// What verdicts and operators make of held keys: decided in memory at once, and stored with what caused it.
// V1 A change of a key is in the unit of the verdict that causes it: a crash sees both or none.
// V2 A key that goes on is free at once where nothing was parked of it, else once its drain has found nothing left.
// V3 Followers run once that is stored which lets them go. What is refused changes nothing.

import type { BatchMessage } from "../../broker/index.ts";
import { keyOf, type Position, type Token, token } from "../../events/index.ts";
import { entryKey } from "../fold.ts";
import { unitAside } from "../group.ts";
import type { DeadReason, Verdict } from "../outcome.ts";
import { type HeldChange, type Job, nextRun, type Scope } from "../scope.ts";
import { heldMessage } from "./records.ts";
import { afterVerdict, type Ended, type Held, type Holder, policyOf, type Role } from "./states.ts";
import type { HeldKey, HeldTable } from "./table.ts";

export interface HeldVerdicts {
  /** What the verdict makes of its key, for the verdict's own unit. */
  settle(job: Job, verdict: Verdict): HeldChange | undefined;
  /** The key of an event that is dead, also where it came to no lane; empty where it has none. */
  keyOf(job: Job, reason: DeadReason): string;
  /** Lets a key go that this event holds; resolves once that is stored, or needs not be. */
  release(lane: Token, by: Position): Promise<void>;
  /** Nothing is parked of the key, and nothing can be: called in its lane. */
  free(lane: Token): void;
}

export function createVerdicts(
  scope: Scope,
  table: HeldTable,
  startDrain: (lane: Token) => void,
): HeldVerdicts {
  const { ledger, committer } = scope;
  const { place } = ledger;

  function keyOfDead(job: Job, reason: DeadReason): string {
    const lane = table.heldBy(job.position);
    return (lane && table.get(lane)?.key) ?? keyFor(scope, job, reason);
  }

  function settle(job: Job, verdict: Verdict): HeldChange | undefined {
    const ended = endedOf(job, verdict);
    if (job.from === "new" && ended.kind === "over") return undefined; // most events end here
    const { position } = job;
    const holding = table.heldBy(position);
    const { key } = job;
    const lane = holding ?? table.runsIn(position) ?? token(key);
    const known = table.get(lane);
    const role = holding === undefined ? roleOf(job, known) : "holder";
    const by = holderOf(job, role, known);
    if (role === "first" && key === "") return undefined;
    const change = afterVerdict(role, ended, by, policyOf(scope.handler().declaration.options));
    if (change.kind === "as it was") return undefined;
    if (change.kind === "goes on") return changed(lane, known, letGo(lane));
    const { seq } = by.position;
    const fresh = { key, parked: false, sinceMs: Date.now(), fromSeq: seq };
    return changed(lane, known, become(lane, { ...(known ?? fresh), held: change }));
  }

  function changed(
    lane: Token,
    before: HeldKey | undefined,
    message: BatchMessage | undefined,
  ): HeldChange | undefined {
    if (message === undefined) return undefined;
    return {
      message,
      onStored: () => drain(lane),
      onRefused() {
        if (before === undefined) table.forget(lane);
        else table.set(lane, before);
      },
    };
  }

  function roleOf(job: Job, known: HeldKey | undefined): Role {
    const runs = table.runsIn(job.position) !== undefined;
    if (runs && known?.held.kind === "draining") return "follower";
    return job.from === "new" && known === undefined ? "first" : "passed";
  }

  function letGo(lane: Token): BatchMessage | undefined {
    const known = table.get(lane);
    if (known === undefined) return undefined;
    return known.parked
      ? become(lane, { ...known, held: { kind: "draining" } })
      : forget(lane, known);
  }

  function drain(lane: Token): void {
    if (table.get(lane)?.held.kind === "draining") startDrain(lane);
  }

  function become(lane: Token, next: HeldKey): BatchMessage {
    table.set(lane, next);
    report(next, next.held.kind);
    return heldMessage(place, lane, next);
  }

  function forget(lane: Token, known: HeldKey): BatchMessage {
    table.forget(lane);
    report(known, "free");
    return heldMessage(place, lane, { ...known, held: { kind: "free" } });
  }

  function record(message: BatchMessage | undefined): void {
    if (message !== undefined) committer.submit(unitAside(ledger, [message]));
  }

  function report({ key, held }: HeldKey, state: Held["kind"] | "free"): void {
    const by = "by" in held && state !== "free" ? { position: held.by.position } : {};
    scope.around.report({ kind: "key", handler: scope.handler().name, key, state, ...by });
  }

  return {
    settle,
    keyOf: keyOfDead,
    async release(lane, by) {
      if (table.heldBy(by) === lane) record(letGo(lane));
      await committer.settled();
      drain(lane);
    },
    free(lane) {
      const known = table.get(lane);
      if (known !== undefined) record(forget(lane, known));
    },
  };
}

// What ended the process too often comes to no lane of its own; all else has its key, or can have none.
function keyFor(scope: Scope, { key, event }: Job, reason: DeadReason): string {
  if (key !== "" || event === undefined || reason !== "crash") return key;
  const { declaration } = scope.handler();
  try {
    return declaration.kind === "projection" ? entryKey(declaration, event) : keyOf(event);
  } catch {
    return "";
  }
}

// What comes back may not decode any more; the record knows what the event was called.
function holderOf({ position, event }: Job, role: Role, known: HeldKey | undefined): Holder {
  if (role === "holder" && known !== undefined && "by" in known.held) return known.held.by;
  return { position, source: event?.source ?? "", id: event?.id ?? "" };
}

function endedOf(job: Job, verdict: Verdict): Ended {
  if (verdict.kind === "retry") {
    return { kind: "retry", attempt: nextRun(job), dueMs: verdict.due.getTime() };
  }
  return { kind: verdict.kind === "dead" ? "dead" : "over" };
}
