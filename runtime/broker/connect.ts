// The connection to NATS: made, kept, and judged. Owns reconnecting and the check of the server's version.
// A broker that exists speaks to a server that is new enough and has JetStream.
import { readFile } from "node:fs/promises";
import { dataBucketOf, describeThrown, EddyError } from "../events/index.ts";
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type NatsConnection,
  nkeyAuthenticator,
} from "./client.ts";
import { judgeServerVersion } from "./local/index.ts";
import { type ObjectLimits, type Objects, openObjects } from "./objects.ts";

export interface BrokerOptions {
  readonly servers: readonly string[];
  /** Name of this connection, as `nats server report connections` shows it. */
  readonly name: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Path of a `.creds` file. */
  readonly credentials?: string;
  /** Path of a file that holds an nkey seed. */
  readonly nkey?: string;
  /** Paths of PEM files. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly timeoutMs: number;
}

/** What rooms that speak to NATS are given. */
export interface Broker {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** Name of the app: part of ledgers' subjects and consumers' names. */
  readonly app: string;
  /** Name of the home stream. */
  readonly home: string;
  /** Name of the stream that is the compacted home of state events. */
  readonly state: string;
  /** The server's own limit on a message, headers included. */
  readonly maxPayloadBytes: number;
  /** Data of events that are too large for a message. */
  readonly objects: Objects;
  /** What is weaker than it should be on this server, where something is. */
  readonly warning?: string;
  close(): Promise<void>;
}

export interface Names {
  readonly app: string;
  readonly home: string;
  /** The compacted home; default `STATE`. */
  readonly state?: string;
  readonly objects?: ObjectLimits;
}

const objectLimits: ObjectLimits = { bytesMax: 64 * 2 ** 20, storeBytesMax: 4 * 2 ** 30 };

/** Connects once. Throws `EDDY_NOT_CONNECTED`, `EDDY_SERVER_TOO_OLD` or `EDDY_NO_JETSTREAM`. */
export async function connectBroker(
  options: BrokerOptions,
  { app, home, state = "STATE", objects = objectLimits }: Names,
): Promise<Broker> {
  const nc = await open(options);
  try {
    const verdict = judgeServerVersion(nc.info?.version ?? "0.0.0");
    if (verdict.kind === "refused") throw new EddyError("EDDY_SERVER_TOO_OLD", verdict.message);
    const jsm = await manager(nc);
    const js = jetstream(nc);
    return {
      nc,
      js,
      jsm,
      app,
      home,
      state,
      objects: openObjects({ nc, js, jsm }, dataBucketOf(home), objects),
      maxPayloadBytes: nc.info?.max_payload ?? 1_048_576,
      ...(verdict.kind === "weaker" ? { warning: verdict.warning } : {}),
      close: () => nc.close(),
    };
  } catch (error) {
    await nc.close();
    throw error;
  }
}

/** Connects, and keeps trying while no server answers; `onWait` says so each time. */
export async function connectBrokerPatiently(
  options: BrokerOptions,
  names: Names,
  onWait: (error: EddyError, waitMs: number) => void,
  signal: AbortSignal,
): Promise<Broker> {
  for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 5_000)) {
    try {
      return await connectBroker(options, names);
    } catch (error) {
      const waiting = error instanceof EddyError && waitable.has(error.code);
      if (!waiting || signal.aborted) throw error;
      onWait(error, waitMs);
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", done);
          resolve();
        };
        const timer = setTimeout(done, waitMs);
        signal.addEventListener("abort", done);
      });
      if (signal.aborted) throw error;
    }
  }
}

const waitable = new Set(["EDDY_NOT_CONNECTED", "EDDY_NO_JETSTREAM"]);

async function open(options: BrokerOptions): Promise<NatsConnection> {
  const servers = [...options.servers];
  const settings: ConnectionOptions = {
    servers,
    name: options.name,
    timeout: options.timeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 250,
    pingInterval: 5_000,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    ...(await credentialsOf(options)),
  };
  try {
    return await connect(settings);
  } catch (error) {
    const why = describeThrown(error).message;
    throw new EddyError(
      "EDDY_NOT_CONNECTED",
      `no connection to NATS at ${servers.map(withoutSecrets).join(", ")}: ${why}. ` +
        "Is the server running, and are nats.servers and the credentials right?",
      {},
      { cause: error },
    );
  }
}

async function credentialsOf(options: BrokerOptions): Promise<Partial<ConnectionOptions>> {
  const { user, password, token, credentials, nkey, tls } = options;
  return {
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    ...(token === undefined ? {} : { token }),
    ...(credentials === undefined
      ? {}
      : { authenticator: credsAuthenticator(await secretFile("nats.credentials", credentials)) }),
    ...(nkey === undefined ? {} : { authenticator: nkeyAuthenticator(await seedFile(nkey)) }),
    ...(tls === undefined ? {} : { tls: tlsFiles(tls) }),
  };
}

function tlsFiles(tls: NonNullable<BrokerOptions["tls"]>) {
  return {
    ...(tls.ca === undefined ? {} : { caFile: tls.ca }),
    ...(tls.cert === undefined ? {} : { certFile: tls.cert }),
    ...(tls.key === undefined ? {} : { keyFile: tls.key }),
  };
}

async function seedFile(path: string): Promise<Uint8Array> {
  const text = new TextDecoder().decode(await secretFile("nats.nkey", path));
  return new TextEncoder().encode(text.trim());
}

async function secretFile(key: string, path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new EddyError(
      "EDDY_CONFIG",
      `${key}: cannot read ${path}: ${describeThrown(error).message}`,
    );
  }
}

function withoutSecrets(server: string): string {
  return server.replace(/\/\/[^@/]*@/, "//***@");
}

async function manager(nc: NatsConnection): Promise<JetStreamManager> {
  try {
    return await jetstreamManager(nc);
  } catch (error) {
    throw new EddyError(
      "EDDY_NO_JETSTREAM",
      `the NATS server ${nc.getServer()} answers, but has no JetStream for this account: ` +
        `${describeThrown(error).message}. Enable jetstream in its configuration`,
      {},
      { cause: error },
    );
  }
}

export interface ConnectionChange {
  readonly connected: boolean;
  readonly server: string;
  readonly message: string;
}

/** Tells of each loss of the connection and of its return. The client reconnects by itself, for ever. */
export function watchConnection(
  nc: NatsConnection,
  onChange: (change: ConnectionChange) => void,
): void {
  void (async () => {
    let connected = true;
    for await (const status of nc.status()) {
      if (status.type === "disconnect" && connected) {
        connected = false;
        const { server } = status;
        const message = `connection to ${server} lost; reconnecting. What is in flight waits`;
        onChange({ connected, server, message });
      } else if (status.type === "reconnect" && !connected) {
        connected = true;
        onChange({
          connected,
          server: status.server,
          message: `connected to ${status.server} again`,
        });
      }
    }
  })();
}
