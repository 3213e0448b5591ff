// The declarations that handler modules export, as plain data. Pure; knows events only.
export {
  areCompacted,
  deleterOf,
  deletes,
  type EventOptions,
  entityKeyOf,
  isCompacted,
} from "./carries.ts";
export type {
  Context,
  EmitOptions,
  FindOptions,
  Found,
  GetOptions,
  Log,
  LogLine,
  Read,
} from "./context.ts";
export { type Duration, parseDuration } from "./duration.ts";
export { type EnrichContext, type EnrichOptions, enrich } from "./enrich.ts";
export { askedFor, type Enrichment } from "./enrichment.ts";
export { Permanent, RetryAfter } from "./errors.ts";
export { type DataOf, type EventOf, type EventType, event } from "./event-type.ts";
export { fieldsOf, typesOf } from "./fields.ts";
export { asDeclaration, type Declaration, type Handler } from "./handler.ts";
export {
  type Conditions,
  hasMarks,
  type IndexOf,
  type IndexValue,
  indexIn,
  isIndexValue,
  markOf,
  marksOf,
} from "./indexes.ts";
export type { Local } from "./local.ts";
export { leavesOut } from "./matcher.ts";
export { type HandlerOptions, listOf, type OnDead, type Start } from "./options.ts";
export { type AnyProjection, type Projection, projection, type StateOf } from "./projection.ts";
export { on, type Reaction, type ReactionOptions } from "./reaction.ts";
export { type DifferenceKind, type ReloadRule, reloadRule } from "./reload.ts";
export type { WhereOf } from "./where.ts";
