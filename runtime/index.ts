// What handler modules import from "eddyline": the whole authoring API, and nothing else of the runtime.
export { Type } from "typebox";
export {
  type Context,
  type DataOf,
  type Duration,
  type EmitOptions,
  type EventOf,
  type EventOptions,
  type EventType,
  event,
  type GetOptions,
  type HandlerOptions,
  type Local,
  type Log,
  on,
  Permanent,
  type Projection,
  projection,
  type Reaction,
  type Read,
  RetryAfter,
  type Start,
  type StateOf,
  type WhereOf,
} from "./authoring/index.ts";
export type { AttributeValue, CloudEvent, Position } from "./events/index.ts";
