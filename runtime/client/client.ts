// A node of Eddyline over HTTP: events in, projections read and watched, waits for what was written.
// C1 Whoever reads with `after` sees what its own write did, or is told that it cannot yet. C2 A watch goes on where it
// was, also over a restart of the node and a line that is cut without a word: no entry's last change is left out.
import { ClientError, errorOf, problemIn } from "./error.ts";
import { eventsIn, type Patience } from "./sse.ts";

export interface ClientOptions {
  /** Added to each request, such as an `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the platform's own. */
  readonly fetch?: typeof fetch;
}

/** A CloudEvents 1.0 event. Without an `id` it gets one; whoever sends it again has to give the same. */
export interface NewEvent {
  readonly type: string;
  readonly source: string;
  readonly id?: string;
  readonly subject?: string;
  readonly data?: unknown;
  /** Extension attributes by their lower-case name, `partitionkey` among them. */
  readonly extensions?: Readonly<Record<string, string | number | boolean>>;
}

export interface Stored {
  readonly id: string;
  /** Where it stands: what `after` takes. */
  readonly position: string;
  /** The stream had it already. */
  readonly duplicate: boolean;
}

export interface ReadOptions {
  /** A position as `publish` gives it: the answer reflects at least that. */
  readonly after?: string;
  /** How long to wait for that, such as `"2s"`, which is the default; 30 s at most. */
  readonly wait?: string;
  readonly signal?: AbortSignal;
}

export interface Entry<State> {
  /** Undefined where there is no such entry. */
  readonly value: State | undefined;
  /** The projection has passed every event up to here; undefined where nobody can tell at the moment. */
  readonly position: string | undefined;
  /** For how long the oldest event that it has not folded has been stored, in ms; 0 where none is left. */
  readonly stalenessMs: number | undefined;
}

export interface FindOptions {
  /** Values of indexes, all of which have to fit: `{ city: "Bern" }`. Without it every entry. */
  readonly where?: Readonly<Record<string, string | number | boolean>>;
  /** Only entries whose key begins so. */
  readonly prefix?: string;
  /** Most entries of a page, up to 1,000. Default 100. */
  readonly limit?: number;
  /** Only entries whose key is behind this one: `next` of the page before. */
  readonly after?: string;
  readonly signal?: AbortSignal;
}

export interface Page<State> {
  /** In the order of their keys. */
  readonly entries: readonly {
    readonly key: string;
    readonly value: State;
    readonly revision: number;
  }[];
  /** The `after` of the next page, where there is one. */
  readonly next?: string;
}

export interface Change<State> {
  readonly key: string;
  /** null: deleted. */
  readonly value: State | null;
  readonly revision: number;
}

export interface WatchOptions {
  readonly key?: string;
  /** Only entries whose key begins so. */
  readonly prefix?: string;
  /** The last revision that is known. Without it the entries come first, as they are. */
  readonly since?: number;
  readonly signal?: AbortSignal;
}

export interface Client {
  /**
   * Resolves once the event is stored.
   * @throws ClientError for what the node refuses; what `fetch` throws where no node answers. Sending the event again,
   * with the same `source` and `id`, is safe.
   */
  publish(event: NewEvent): Promise<Stored>;
  /**
   * An entry of a projection.
   * @throws ClientError `EDDY_PROJECTION_BEHIND` where the wait was too short, `EDDY_PROJECTION_LACKS` where the
   * event is dead in the projection, `EDDY_PROJECTION_UNKNOWN`, and what else the node answers.
   */
  read<State = unknown>(
    projection: string,
    key: string,
    options?: ReadOptions,
  ): Promise<Entry<State>>;
  /**
   * Entries of a projection by index and prefix. An entry that is there, and fits, while all pages are read comes once.
   * @throws ClientError `EDDY_INDEX_UNKNOWN`, `EDDY_INDEX_INCOMPLETE` where not all entries have the index yet.
   */
  find<State = unknown>(projection: string, options?: FindOptions): Promise<Page<State>>;
  /** Changes, until the signal or a `break`. Connects again by itself; throws a ClientError for what stays refused. */
  watch<State = unknown>(
    projection: string,
    options?: WatchOptions,
  ): AsyncGenerator<Change<State>, void, undefined>;
}

const againMs = { first: 250, most: 10_000 };
const silenceMs = 45_000; // a node says something every 15 s

/** `url` is where the node listens, such as `http://localhost:8080`. */
export function createClient(url: string, options: ClientOptions = {}): Client {
  const { headers = {}, fetch: send = fetch } = options;
  const root = url.replace(/\/+$/, "");

  // Once more where the connection was lost: a kept one may be gone with a restart. Nothing is stored twice by that.
  async function ask(path: string, init: RequestInit): Promise<Response> {
    try {
      return await send(`${root}${path}`, init);
    } catch (error) {
      if (init.signal?.aborted === true) throw error;
      return await send(`${root}${path}`, init);
    }
  }

  async function publish({ extensions, ...event }: NewEvent): Promise<Stored> {
    const id = event.id ?? crypto.randomUUID();
    const body = JSON.stringify({ ...extensions, ...event, id, specversion: "1.0" });
    const type = { "content-type": "application/cloudevents+json" };
    const response = await ask("/events", {
      method: "POST",
      headers: { ...headers, ...type },
      body,
    });
    if (!response.ok) throw await errorOf(response);
    const { events } = (await response.json()) as { events: Stored[] };
    const [stored] = events;
    if (stored === undefined) throw new TypeError("the node has answered no event");
    return { id: stored.id, position: stored.position, duplicate: stored.duplicate };
  }

  async function read<State>(projection: string, key: string, options: ReadOptions = {}) {
    const { after, wait, signal } = options;
    const path = `/projections/${encodeURIComponent(projection)}/${encodeURIComponent(key)}`;
    const query = queryOf({ after, wait: after === undefined ? undefined : wait });
    const response = await ask(`${path}${query}`, {
      headers: { ...headers, accept: "application/json" },
      ...(signal === undefined ? {} : { signal }),
    });
    const staleness = response.headers.get("eddy-staleness");
    const told = {
      position: response.headers.get("eddy-position") ?? undefined,
      stalenessMs: staleness === null ? undefined : Number(staleness) * 1_000,
    };
    if (response.ok) return { ...told, value: (await response.json()) as State };
    const error = await errorOf(response);
    if (error.code === "EDDY_ENTRY_UNKNOWN") return { ...told, value: undefined };
    throw error;
  }

  async function find<State>(projection: string, options: FindOptions = {}) {
    const { where = {}, prefix, limit, after, signal } = options;
    const query = queryOf({ values: "true", prefix, limit: limit?.toString(), after });
    const conditions = Object.entries(where).map(([index, value]) => `${index}=${value}`);
    const asked = conditions.map((condition) => `&where=${encodeURIComponent(condition)}`).join("");
    const path = `/projections/${encodeURIComponent(projection)}${query}${asked}`;
    const response = await ask(path, {
      headers: { ...headers, accept: "application/json" },
      ...(signal === undefined ? {} : { signal }),
    });
    if (!response.ok) throw await errorOf(response);
    return (await response.json()) as Page<State>;
  }

  async function* watch<State>(projection: string, options: WatchOptions = {}) {
    const { key, prefix, signal } = options;
    const path = `/projections/${encodeURIComponent(projection)}/watch${queryOf({ key, prefix })}`;
    let last = options.since?.toString();
    const stopped = () => signal?.aborted === true;
    for (let waitMs = againMs.first; !stopped(); ) {
      const line = new AbortController();
      const cut = () => line.abort();
      signal?.addEventListener("abort", cut);
      const patience = createPatience(cut);
      try {
        patience.begin();
        const resume: Record<string, string> = last === undefined ? {} : { "last-event-id": last };
        const response = await send(`${root}${path}`, {
          headers: { ...headers, accept: "text/event-stream", ...resume },
          signal: line.signal,
        });
        if (!response.ok || response.body === null) throw await errorOf(response);
        for await (const { id, name, data } of eventsIn(response.body, patience)) {
          if (name === "problem") throw problemIn(JSON.parse(data));
          waitMs = againMs.first;
          if (id !== undefined) last = id;
          yield JSON.parse(data) as Change<State>;
        }
      } catch (error) {
        if (stopped()) return;
        if (error instanceof ClientError && !mayPass(error)) throw error;
      } finally {
        patience.end();
        signal?.removeEventListener("abort", cut);
        cut();
      }
      await pause(waitMs, signal);
      waitMs = Math.min(waitMs * 2, againMs.most);
    }
  }

  return { publish, read, find, watch };
}

/** A node that starts, or has too much to do, may take it later; what is wrong stays wrong. */
function mayPass({ status, code }: ClientError): boolean {
  return status >= 500 && code !== "EDDY_ENTRY_UNREADABLE";
}

function createPatience(onEnd: () => void): Patience {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = () => clearTimeout(timer);
  return {
    begin() {
      end();
      timer = setTimeout(onEnd, silenceMs);
    },
    end,
  };
}

function queryOf(fields: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (given.length === 0) return "";
  return `?${new URLSearchParams(given as [string, string][])}`;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
    if (signal?.aborted === true) done();
  });
}
