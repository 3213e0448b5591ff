// The nats-server on this machine: which versions do, where one is found or fetched, and starting one
// for development and tests. Knows nothing of streams and connections.

export { findNatsServer, type NatsServer, type NatsServerOrigin } from "./find.ts";
export { type LocalServer, type LocalServerOptions, startLocalServer } from "./server.ts";
export {
  compareVersions,
  judgeServerVersion,
  minimumServerVersion,
  parseVersion,
  supportedServerVersion,
  type VersionJudgement,
} from "./versions.ts";
