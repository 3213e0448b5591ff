// What a thin event is enriched by: also the lane in which it waits, so that of each key one waits at a time. Pure.
import { askedFor, type Enrichment } from "../../authoring/index.ts";
import { type CloudEvent, keyOf } from "../../events/index.ts";

export function enrichmentKey(enrichment: Enrichment, event: CloudEvent): string {
  return askedFor(enrichment, event.data) ?? keyOf(event);
}
