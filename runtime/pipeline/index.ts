// The way of an event from consume to settle, and back from backoff subjects and dead letters.
// Knows events, authoring, contracts and the broker; stores and readers are handed in.
export type { Entries, OpenEntries } from "./entries.ts";
export type { EventName, Fact, HandlerState, Report } from "./facts.ts";
export { conditionsOf, type EntryQuery } from "./find.ts";
export type { FindEntries, ReadEntry, ReadWait } from "./handle.ts";
export { type HeldRow, listHeldKeys } from "./held/list.ts";
export { releaseKey } from "./held/release.ts";
export type { DeadReason, LetterReason, Outcome } from "./outcome.ts";
export {
  type HandlerStatus,
  type Pipeline,
  type PipelineParts,
  startPipeline,
} from "./pipeline.ts";
export { type Passage, type Progress, passageOf, type Reading, readProgress } from "./progress.ts";
export type { Finding } from "./reconcile/findings.ts";
export { type Reconciled, reconcile } from "./reconcile/reconcile.ts";
export type { NextEntry, Remote, RemoteCall, RemoteHandler } from "./remote.ts";
export {
  discardLetter,
  type Letter,
  listLetters,
  readLetter,
  replayLetter,
} from "./retry/letters.ts";
export type { Defaults } from "./scope.ts";
export { type HandlerRow, readHandlers } from "./status.ts";
