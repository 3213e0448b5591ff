// The way of an event from consume to settle, and back from backoff subjects and dead letters.
// Knows events, authoring, contracts and the broker; stores and readers are handed in.
export { inputsOf } from "./consume.ts";
export type { Entries, OpenEntries } from "./entries.ts";
export type { EventName, Fact, HandlerState, Report } from "./facts.ts";
export { conditionsOf, type EntryQuery, type FindEntries } from "./find.ts";
export { type HeldRow, listHeldKeys } from "./held/list.ts";
export { releaseKey } from "./held/release.ts";
export { decodeRecord, type LedgerRecord } from "./ledger/record.ts";
export type { Extent } from "./log/beginning.ts";
export { nameOfMoment, type UpTo, upToPosition, upToTime } from "./log/moment.ts";
export type { LogRange } from "./log/read-log.ts";
export { readRepeatsIn } from "./log/repeats-in.ts";
export { parseWhen, type When, whenText } from "./log/when.ts";
export { marksIn, marksLines, marksName } from "./marks.ts";
export type { DeadReason, LetterReason, Outcome } from "./outcome.ts";
export { readAside } from "./past/aside.ts";
export { checkUncut, wholeExtentsOf } from "./past/extent.ts";
export { foldPast, type PastStates, type Step } from "./past/fold-past.ts";
export type { Runs } from "./past/functions.ts";
export { meetEvents, type PastParts } from "./past/meet.ts";
export {
  type HandlerStatus,
  type Pipeline,
  type PipelineParts,
  startPipeline,
} from "./pipeline.ts";
export {
  lastStored,
  type Passage,
  type Progress,
  passageOf,
  type Reading,
  readPositions,
  readProgress,
} from "./progress.ts";
export type { Asked, Found, ReadEntry, ReadWait } from "./read-entry.ts";
export { copyOf, type Marker, markerLeaseMs, markerOf } from "./rebuild/marker.ts";
export type { RebuildProgress, Rebuilt } from "./rebuild/rebuild.ts";
export { askForRebuild, rebuildFrom } from "./rebuild/service.ts";
export type { Finding } from "./reconcile/findings.ts";
export { type Reconciled, reconcile } from "./reconcile/reconcile.ts";
export type { NextEntry, Remote, RemoteCall, RemoteHandler } from "./remote.ts";
export { compareLast, compareOver, type Rehearsal } from "./replay/compare.ts";
export { type Replayed, type ReplayWay, replay } from "./replay/replay.ts";
export type { Rerun } from "./replay/rerun.ts";
export { type Span, spanOf } from "./replay/span.ts";
export { type Compared, type Difference, type Emitted, emittedAs } from "./replay/what-if.ts";
export {
  discardLetter,
  type Letter,
  listLetters,
  readLetter,
  replayLetter,
} from "./retry/letters.ts";
export type { Defaults } from "./scope.ts";
export { type HandlerRow, readHandlers } from "./status.ts";
