// The CloudEvent, its identity and key, its codecs and bindings, and subject encoding. Pure; knows nobody.

export {
  bounds,
  type Decoded,
  type Fault,
  type FaultCode,
  fault,
  isRfc3339,
  makeEvent,
} from "./attributes.ts";
export { codecOf, type DataCodec, decodeData, encodeData } from "./data.ts";
export {
  type Claim,
  type DataRef,
  dataBucketOf,
  datarefOf,
  digestOf,
  isAway,
  messageWith,
  namesIn,
  putBack,
  takeOut,
  textMax,
} from "./dataref.ts";
export { describeThrown, EddyError, type ErrorFacts, inputError } from "./errors.ts";
export {
  type AttributeValue,
  type CloudEvent,
  keyOf,
  nameOf,
  type Position,
  type StoredEvent,
  sameIdentity,
} from "./event.ts";
export {
  decodeAttribute,
  encodeAttribute,
  type HeaderFields,
  parseHeaderBlock,
  withoutBlanks,
} from "./headers.ts";
export { type DecodedRequest, decodeRequest } from "./http-binding.ts";
export { decodeJsonEvent, fromJsonEnvelope, toJsonEnvelope } from "./json-format.ts";
export { withinDepth } from "./json-text.ts";
export {
  decodeBinary,
  decodeMessage,
  decodeStored,
  type EncodedMessage,
  encodeMessage,
  structuredContentType,
} from "./nats-binding.ts";
export { parsePosition, positionText } from "./position.ts";
export {
  allEvents,
  eventSubject,
  isEventSubject,
  narrowestFilter,
  natsSubject,
  subjectOfType,
  type Token,
  token,
  tokenCharsMax,
  typeFilter,
  typeTokens,
  untoken,
} from "./subjects.ts";
