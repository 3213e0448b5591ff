// NATS as the runtime uses it: the connection, its streams and consumers, batches and raw headers.
export {
  type BatchMessage,
  type BatchResult,
  batchMessagesMax,
  storeBatch,
  storeExplained,
} from "./batch.ts";
export {
  type ConsumerInfo,
  type ConsumerMessages,
  type ConsumerNotification,
  createInbox,
  JetStreamApiError,
  type JetStreamManager,
  type JsMsg,
  type NatsConnection,
  nanos,
  type StreamInfo,
} from "./client.ts";
export {
  type Broker,
  type BrokerOptions,
  type ConnectionChange,
  connectBroker,
  connectBrokerPatiently,
  watchConnection,
} from "./connect.ts";
export { AckPolicy, consumerInfo, durable, ensureConsumer, windConsumer } from "./consumers.ts";
export { countMessages } from "./count.ts";
export { Delivery, readDelivery } from "./delivery.ts";
export { type DurableRead, readDurable } from "./durable-read.ts";
export { createIngress } from "./ingress.ts";
export { createLastOfEach, subjectCharsMax, subjectsMax } from "./last-of-each.ts";
export { readMerged, type Stretch } from "./merged.ts";
export type { Found } from "./object-read.ts";
export type { ObjectLimits, StoredObject } from "./objects.ts";
export { isMissing, readAll, readLastOfEach, readOrdered } from "./ordered.ts";
export { type Range, type RangeReader, readRange } from "./range.ts";
export { firstSeqSince } from "./since.ts";
export { readMessage, removeMessage, type StoredMessage, type Which } from "./stored.ts";
export {
  bucketConfig,
  deadStream,
  deadStreamConfig,
  ensureStream,
  homeStreamConfig,
  identitiesStream,
  identitiesStreamConfig,
  retryStream,
  retryStreamConfig,
  stateStreamConfig,
  streamInfo,
} from "./streams.ts";
export { wireHeaders } from "./wire.ts";
