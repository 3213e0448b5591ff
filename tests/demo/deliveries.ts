// The recorded deliveries, as GitHub would send them: one POST each, with an id that is the same in every pass.
import { createHash } from "node:crypto";
import examples from "@octokit/webhooks-examples/api.github.com/index.json" with { type: "json" };

export interface Delivery {
  /** X-GitHub-Delivery: a UUID made of where the example stands. */
  readonly id: string;
  /** X-GitHub-Event. */
  readonly event: string;
  readonly body: string;
}

export const deliveries: readonly Delivery[] = examples.flatMap(({ name, examples: payloads }) =>
  payloads.map((payload: object, n) => ({
    id: stableUuid(`${name}/${n}`),
    event: name,
    body: JSON.stringify(payload),
  })),
);

/** RFC 9562, version 8: bits of our own choosing. */
function stableUuid(name: string): string {
  const bytes = createHash("sha256").update(name).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
