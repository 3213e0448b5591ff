// The CloudEvent as the runtime sees it (CloudEvents 1.0), its identity and its ordering key. Pure.
// An event that exists has been checked: its attributes are legal and within bounds.

export type AttributeValue = string | number | boolean;

/** One CloudEvents 1.0 event. `data` is decoded by `datacontenttype`; bytes stay a `Uint8Array`. */
export interface CloudEvent<Data = unknown, Type extends string = string> {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: Type;
  /** CloudEvents' subject; a NATS subject is always called `natsSubject` here. */
  readonly subject?: string;
  /** RFC 3339. */
  readonly time?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  /** Extension attributes by their lower-case name. */
  readonly extensions: Readonly<Record<string, AttributeValue>>;
  readonly data: Data;
}

/** Where an event stands: a stream and the sequence in it. */
export interface Position {
  readonly stream: string;
  readonly seq: number;
}

/** What became of an event that was handed in: its identity, and where it stands. */
export interface StoredEvent extends Position {
  readonly id: string;
  readonly source: string;
  /** The stream had it already, at this position. */
  readonly duplicate: boolean;
}

/** The ordering key: extension `partitionkey`, else `subject`, else `id`. */
export function keyOf(event: CloudEvent): string {
  const partitionKey = event.extensions.partitionkey;
  if (partitionKey !== undefined && partitionKey !== "") return String(partitionKey);
  return event.subject ?? event.id;
}

type Identity = Pick<CloudEvent, "source" | "id">;

/** Whether two events are the same one: equal `source` and equal `id` (CloudEvents 1.0, section 3.1). */
export function sameIdentity(a: Identity, b: Identity): boolean {
  return a.id === b.id && a.source === b.source;
}

/** An event for a log line or an error text: never more than a line. */
export function nameOf(event: { type: string; source: string; id: string }): string {
  return `${clip(event.type)} (source ${clip(event.source)}, id ${clip(event.id)})`;
}

function clip(text: string): string {
  const line = text.replace(/\p{Cc}/gu, "\u{fffd}");
  return line.length > 120 ? `${line.slice(0, 117)}...` : line;
}
