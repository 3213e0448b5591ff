// The handlers of an app as the server knows them: what each wants, and where its records stand.
import { type Broker, type ConsumerInfo, streamInfo } from "../../broker/index.ts";
import { natsSubject, typeTokens } from "../../events/index.ts";
import { furtherStreams } from "../consume.ts";
import { isConsumerOf, type Place, placeNamed } from "../ledger/place.ts";
import { sourceOf } from "../terms.ts";

export interface Subject {
  readonly name: string;
  readonly kind: "reaction" | "projection";
  readonly place: Place;
  /** CloudEvents `source` of its effects. */
  readonly source: string;
  /** NATS subjects of its types without the key; undefined where its consumer does not say. */
  readonly wants: readonly string[] | undefined;
  /** The streams that it reads, the home stream first. */
  readonly streams: readonly string[];
  /** It began at the first event of its streams. */
  readonly fromFirst: boolean;
}

/** The handlers that have a consumer, by name; `only` chooses some. */
export async function readSubjects(broker: Broker, only: readonly string[]): Promise<Subject[]> {
  const found: Subject[] = [];
  if ((await streamInfo(broker.jsm, broker.home)) === undefined) return found;
  for await (const info of broker.jsm.consumers.list(broker.home)) {
    const meta = info.config.metadata ?? {};
    const name = meta["eddy.handler"];
    if (name === undefined || !isConsumerOf(broker.app, info.name)) continue;
    if (only.length > 0 && !only.includes(name)) continue;
    const kind = meta["eddy.kind"] === "projection" ? "projection" : "reaction";
    found.push({
      name,
      kind,
      place: placeNamed(kind, name, broker),
      source: sourceOf(broker.app, name),
      wants: wantsOf(info),
      streams: [broker.home, ...furtherStreams(info)],
      fromFirst: meta["eddy.start"] === "first",
    });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function wantsOf({ config }: ConsumerInfo): readonly string[] | undefined {
  const types: unknown = parsed(config.metadata?.["eddy.types"]);
  if (Array.isArray(types)) {
    return types.map((type) => natsSubject("events", ...typeTokens(String(type))));
  }
  // A consumer of an earlier version: with a single type its filter says the same.
  const filter = config.filter_subject;
  return filter?.endsWith(".*") ? [filter.slice(0, -2)] : undefined;
}

function parsed(json: string | undefined): unknown {
  try {
    return json === undefined ? undefined : JSON.parse(json);
  } catch {
    return undefined;
  }
}
