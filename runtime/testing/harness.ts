// `harness(module)`: what handler authors test with. Owns which handlers a test runs, and what it may ask.
// H1 The pipeline's own code runs the handlers; only the streams around it are in memory.
// H2 Nothing depends on real time: a retry waits for `settle`, which moves the clock to when it is due.
// H3 An event meets the projections before the reactions. In the runtime they race: a reaction there may
//    read an entry that does not have its event yet.
import {
  type AnyProjection,
  asDeclaration,
  type DataOf,
  type Declaration,
  type EventOf,
  type EventType,
  type Handler,
  type Log,
  type StateOf,
} from "../authoring/index.ts";
import { type CloudEvent, EddyError } from "../events/index.ts";
import type { Verdict } from "./attempt.ts";
import { MemoryStream } from "./memory-stream.ts";

/** The attributes of a published event; each has a default. */
export interface PublishOptions {
  /** Default: a new one. The same `source` and `id` again is the same event again. */
  readonly id?: string;
  /** Default `/test`. */
  readonly source?: string;
  readonly subject?: string;
  /** Ordering key (extension `partitionkey`). */
  readonly key?: string;
  readonly datacontenttype?: string;
}

export interface Harness {
  /**
   * Stores an event and follows it, and what is emitted because of it, to the end. What is to be retried waits
   * for `settle`. Data that breaks the schema is stored too, as in the runtime: it is the handler that refuses it.
   */
  publish<E extends EventType>(
    type: E,
    data: DataOf<E>,
    options?: PublishOptions,
  ): Promise<CloudEvent>;
  /** Runs all retries in the order of their due times, until none is left. */
  settle(): Promise<void>;
  /** The events of this type that handlers have emitted, oldest first. */
  emitted<E extends EventType>(type: E): readonly EventOf<E>[];
  /** The entry of a projection, or undefined where there is none. */
  entry<P extends AnyProjection>(projection: P, key: string): StateOf<P> | undefined;
  /** All entries of a projection by key. */
  entries<P extends AnyProjection>(projection: P): ReadonlyMap<string, StateOf<P>>;
  /** What became of each event for each handler, an element for each attempt. */
  readonly outcomes: readonly Observed[];
  /** What handlers wrote to `ctx.log`. */
  readonly logs: readonly LoggedLine[];
}

/** What an attempt came to, and of what: handled, duplicate, retry or dead. */
export type Observed = Verdict & {
  readonly handler: string;
  readonly event: CloudEvent;
  /** 1 for the first. */
  readonly attempt: number;
};

export interface LoggedLine {
  readonly level: keyof Log;
  readonly handler: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Exports of a handler module: `{ ...credit, ...customers }`, or `import * as credit`. */
type Exports = Readonly<Record<string, unknown>>;

/**
 * A stream in memory with these handlers on it: the declarations among a module's exports, by name.
 * @throws EddyError `EDDY_DECLARATION` where there is none among them, or two have one name.
 */
export function harness(...modules: readonly Exports[]): Harness {
  return new MemoryStream(handlersOf(modules));
}

function handlersOf(modules: readonly Exports[]): Handler[] {
  const names = new Map<string, Declaration>();
  for (const [exportName, exported] of modules.flatMap((exports) => Object.entries(exports))) {
    const declaration = asDeclaration(exported);
    if (declaration === undefined) continue;
    const name = declaration.kind === "projection" ? declaration.name : exportName;
    if ((names.get(name) ?? declaration) !== declaration) {
      throw new EddyError("EDDY_DECLARATION", `two handlers are called ${name}`, { handler: name });
    }
    names.set(name, declaration);
  }
  if (names.size === 0) {
    const text = "harness(exports): there is no reaction and no projection among the exports";
    throw new EddyError("EDDY_DECLARATION", text);
  }
  return Array.from(names, ([name, declaration]) => ({
    name,
    file: "",
    version: "",
    declaration,
  })).sort((a, b) => rank(a.declaration) - rank(b.declaration)); // H3
}

const rank = ({ kind }: Declaration) => (kind === "projection" ? 0 : 1);
