// What listens on a port of this machine? A nats-server introduces itself with an INFO line at once.
import { connect } from "node:net";

export type Listener =
  | { kind: "nothing" }
  | { kind: "stranger" }
  | { kind: "nats"; version: string; name: string };

const greetingTimeoutMs = 1_000;

export function whoListens(port: number, host = "127.0.0.1"): Promise<Listener> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    let received = "";
    const answer = (listener: Listener) => {
      socket.destroy();
      resolve(listener);
    };
    socket.setTimeout(greetingTimeoutMs, () => answer({ kind: "stranger" }));
    socket.on("error", () => answer({ kind: "nothing" }));
    socket.on("end", () => answer({ kind: "stranger" }));
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      if (received.includes("\r\n") || received.length > 8_192) answer(parseInfo(received));
    });
  });
}

function parseInfo(text: string): Listener {
  try {
    const info: unknown = JSON.parse(/^INFO (.*)\r\n/.exec(text)?.[1] ?? "");
    if (typeof info !== "object" || info === null) return { kind: "stranger" };
    const version = "version" in info ? String(info.version) : "unknown";
    const name = "server_name" in info ? String(info.server_name) : "unknown";
    return { kind: "nats", version, name };
  } catch {
    return { kind: "stranger" };
  }
}
