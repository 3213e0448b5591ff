// The configuration: defaults, then the file, then EDDY_… variables; the later one wins, key by key.
// C1 A Config that exists is complete and within bounds.   C2 Everything that is wrong is told at once, with
// the key, where it stands, the value (never a secret) and what is allowed.
import { Value } from "typebox/value";
import type { BrokerOptions, ObjectLimits } from "../broker/index.ts";
import type { FolderSettings } from "../modules/index.ts";
import { fromEnvironment } from "./config-env.ts";
import { readConfigFile } from "./config-file.ts";
import { foldersOf, foldersProblems } from "./config-folders.ts";
import { type KeyPath, type KeyWithDefault, keyAt, keys, type ValueOf } from "./config-keys.ts";
import { ConfigError, type ConfigProblem, type Given } from "./config-problems.ts";

export { configWarnings } from "./config-env.ts";
export { ConfigError, type ConfigProblem } from "./config-problems.ts";

/** The file that is read where none is named; it may be missing. Paths are relative to the working folder. */
const defaultConfigFile = "config/eddy.yaml";

/** The connection; `name` is made from the app where it is absent. */
export type NatsConfig = Omit<BrokerOptions, "name"> & { readonly name?: string };

export interface LogConfig {
  readonly level: ValueOf<"log.level">;
  readonly format: ValueOf<"log.format">;
}

export interface Config {
  readonly app: string;
  /** Path of the handlers folder. */
  readonly handlers: string;
  readonly nats: NatsConfig;
  readonly home: {
    readonly stream: string;
    readonly retentionMs: number;
    readonly maxBytes: number;
  };
  /** Data that is too large for a message. */
  readonly objects: ObjectLimits;
  /** The compacted home of state events, and for how long it shows what was deleted. */
  readonly state: { readonly stream: string; readonly tombstonesMs: number };
  /** Port 0 takes any free one. */
  readonly http: {
    readonly host: string;
    readonly port: number;
    readonly maxBodyBytes: number;
    /** Whose pages may read the answers in a browser. */
    readonly origins: readonly string[];
  };
  /** Waits between attempts; `jitter` is the share by which each may differ. */
  readonly retry: { readonly delaysMs: readonly number[]; readonly jitter: number };
  readonly deadlineMs: number;
  /** How often the process may die while one event runs. */
  readonly crashes: { readonly deaths: number };
  readonly drainMs: number;
  /** The window in which a producer's repeat is recognised. */
  readonly identities: { readonly count: number; readonly ageMs: number };
  /** Settings of single modules, by the name of their file or folder. */
  readonly folders: Readonly<Record<string, FolderSettings>>;
  readonly watch: { readonly pollMs: number };
  readonly log: LogConfig;
  readonly webhooks: { readonly github: { readonly secret?: string } };
}

export interface ConfigSources {
  /** A file that must exist. Default: `EDDY_CONFIG`, else `config/eddy.yaml` where that exists. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads the configuration.
 * @throws ConfigError (`EDDY_CONFIG`) with everything that is wrong with it.
 */
export function loadConfig({ file, env }: ConfigSources): Config {
  const named = file ?? (env.EDDY_CONFIG || undefined);
  const content = readConfigFile(named ?? defaultConfigFile);
  const problems: ConfigProblem[] = [...(content?.problems ?? [])];
  if (content === undefined && named !== undefined) {
    problems.push({ file: named, message: "there is no such file" });
  }
  const given = new Map([...(content?.given ?? []), ...fromEnvironment(env)]);
  for (const [path, entry] of given) problems.push(...judge(path, entry));
  problems.push(...foldersProblems(given.get("folders")));
  if (problems.length > 0) throw new ConfigError(problems);
  const config = assemble(given);
  const contradictions = contradictionsIn(config.nats);
  if (contradictions.length > 0) throw new ConfigError(contradictions);
  return config;
}

function judge(key: KeyPath, { value, lines: _, ...place }: Given): ConfigProblem[] {
  const { schema, expects, secret } = keyAt(key);
  if (Value.Check(schema, value)) return [];
  const got = secret ? "it is something else" : `got ${show(value)}`;
  return [{ ...place, key, message: `${key} must be ${expects}, ${got}` }];
}

function assemble(given: ReadonlyMap<KeyPath, Given>): Config {
  function find<Path extends KeyPath>(path: Path): ValueOf<Path> | undefined {
    const entry = given.get(path);
    return entry === undefined ? undefined : decode(path, entry.value);
  }
  function get<Path extends KeyWithDefault>(path: Path): ValueOf<Path> {
    return find(path) ?? decode(path, keys[path].initial);
  }
  const tls = defined({
    ca: find("nats.tls.ca"),
    cert: find("nats.tls.cert"),
    key: find("nats.tls.key"),
  });
  return {
    app: get("app"),
    handlers: get("handlers"),
    nats: {
      servers: get("nats.servers"),
      ...defined({
        name: find("nats.name"),
        user: find("nats.user"),
        password: find("nats.password"),
        token: find("nats.token"),
        credentials: find("nats.credentials"),
        nkey: find("nats.nkey"),
      }),
      ...(Object.keys(tls).length > 0 ? { tls } : {}),
      timeoutMs: get("nats.timeout"),
    },
    home: {
      stream: get("home.stream"),
      retentionMs: get("home.retention"),
      maxBytes: get("home.maxBytes"),
    },
    objects: { bytesMax: get("objects.maxBytes"), storeBytesMax: get("objects.storeBytes") },
    state: { stream: get("state.stream"), tombstonesMs: get("state.tombstones") },
    http: {
      host: get("http.host"),
      port: get("http.port"),
      maxBodyBytes: get("http.maxBodyBytes"),
      origins: get("http.origins"),
    },
    retry: { delaysMs: get("retry.delays"), jitter: get("retry.jitter") },
    deadlineMs: get("deadline"),
    crashes: { deaths: get("crashes.deaths") },
    drainMs: get("drain"),
    identities: { count: get("identities.count"), ageMs: get("identities.age") },
    folders: foldersOf(get("folders")),
    watch: { pollMs: get("watch.poll") },
    log: { level: get("log.level"), format: get("log.format") },
    webhooks: { github: defined({ secret: find("webhooks.github.secret") }) },
  };
}

function decode<Path extends KeyPath>(path: Path, value: unknown): ValueOf<Path> {
  return Value.Decode<(typeof keys)[Path]["schema"]>(keys[path].schema, value);
}

/** What each key allows and all of them together do not. */
function contradictionsIn(nats: NatsConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const ways = (["user", "token", "credentials", "nkey"] as const).filter((key) => nats[key]);
  if (ways.length > 1) {
    const given = ways.map((key) => `nats.${key}`).join(" and ");
    problems.push({ key: "nats", message: `${given} exclude each other: one way to sign in` });
  }
  if ((nats.user === undefined) !== (nats.password === undefined)) {
    problems.push({ key: "nats.user", message: "nats.user and nats.password go together" });
  }
  if ((nats.tls?.cert === undefined) !== (nats.tls?.key === undefined)) {
    problems.push({ key: "nats.tls", message: "nats.tls.cert and nats.tls.key go together" });
  }
  return problems;
}

function defined<Fields extends Record<string, string | undefined>>(
  fields: Fields,
): { [Name in keyof Fields]?: string } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Name in keyof Fields]?: string };
}

function show(value: unknown): string {
  const text = (JSON.stringify(value) ?? String(value)).replaceAll(/\/\/[^/"]*@/g, "//…@");
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
