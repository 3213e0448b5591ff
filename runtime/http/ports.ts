// What HTTP needs of the rest, handed in by the host. HTTP itself knows no pipeline and no broker.
import type { CloudEvent, StoredEvent } from "../events/index.ts";
import type { Past, ProjectionReader } from "../projections/index.ts";

export interface HttpPorts {
  /** Resolves when all are stored; rejects with an EddyError, and then some may be. */
  store(events: readonly CloudEvent[]): Promise<readonly StoredEvent[]>;
  readonly projections: ProjectionReader;
  /** Absent where nobody has the code of projections; throws while it is not known yet. */
  readonly past?: () => Past;
  readiness():
    | { readonly ready: true }
    | { readonly ready: false; readonly reasons: readonly string[] };
  /** All metrics as Prometheus reads them. */
  metrics(): Promise<string>;
  /** Where given, deliveries of GitHub have to be signed with it. */
  readonly githubSecret?: string;
  readonly bodyBytesMax: number;
  /** Whose pages may send events and read projections in a browser; `*` is any, and none by default. */
  readonly origins?: readonly string[];
  /** Aborted when the node stops: what would stay open for ever ends. */
  readonly closing: AbortSignal;
  /** Told of errors that are nobody's input: bugs. */
  unexpected(error: unknown): void;
}
