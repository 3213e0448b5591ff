// What handler modules import from "eddyline": the whole authoring API, and nothing else of the runtime.
export { Type } from "typebox";
export {
  type Context,
  type DataOf,
  type Duration,
  type EmitOptions,
  type EnrichContext,
  type EnrichOptions,
  type EventOf,
  type EventOptions,
  type EventType,
  enrich,
  event,
  type GetOptions,
  type HandlerOptions,
  type Log,
  on,
  Permanent,
  type Projection,
  projection,
  type Reaction,
  RetryAfter,
  type Start,
  type StateOf,
  type WhereOf,
} from "./authoring/index.ts";
export type { AttributeValue, CloudEvent } from "./events/index.ts";
