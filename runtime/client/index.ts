// Public as "eddyline/client": events in, projections out, from a browser or from Node. It depends on nothing.
export {
  type Change,
  type Client,
  type ClientOptions,
  createClient,
  type Entry,
  type FindOptions,
  type NewEvent,
  type Page,
  type ReadOptions,
  type Stored,
  type WatchOptions,
} from "./client.ts";
export { ClientError } from "./error.ts";
