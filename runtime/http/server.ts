// The HTTP server: listens, bounds slow clients, says in problem documents what is no HTTP, and closes with care.
// H1 Closing takes no new connection, lets requests in flight finish, and ends in bounded time.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { describeThrown, EddyError } from "../events/index.ts";
import { type ProblemCode, problemOf, problemType } from "./problem.ts";
import type { App } from "./request.ts";

export interface HttpServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** A client that sends nothing, or a byte at a time, holds a connection only this long. */
const timeouts = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};
/** Attributes of an event may have 16 kB each, three times that percent-encoded. */
const headerBytesMax = 128 * 1024;
/** A request that is still under way this long after the server was asked to close is cut. */
const closeMsMax = 10_000;

/** Listens on host and port (0: any free one). Throws `EDDY_HTTP_PORT_TAKEN` or `EDDY_HTTP_LISTEN`. */
export async function serveHttp(
  app: App,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<HttpServer> {
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    hostname: host, // for clients of HTTP/1.0, which name no host
    errorHandler: (error) => problemResponse("EDDY_HTTP_MALFORMED", describeThrown(error).message),
  });
  const server = createServer({ ...timeouts, maxHeaderSize: headerBytesMax }, listener);
  server.on("clientError", refuseClient);
  await listen(server, host, port);
  const address = server.address() as AddressInfo;
  const name = host.includes(":") ? `[${host}]` : host;
  return { url: `http://${name}:${address.port}`, port: address.port, close: () => close(server) };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "EADDRINUSE") {
      throw new EddyError(
        "EDDY_HTTP_PORT_TAKEN",
        `port ${port} on ${host} is taken: another node, or another program, listens there. ` +
          "Stop it, or choose another port (http.port, or EDDY_HTTP_PORT; 0 takes any free one)",
        { host, port },
        { cause },
      );
    }
    throw new EddyError(
      "EDDY_HTTP_LISTEN",
      `HTTP cannot listen on ${host}, port ${port}: ${describeThrown(cause).message}. See http.host and http.port`,
      { host, port },
      { cause },
    );
  }
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // Keep-alive connections fall idle one by one, as their requests end.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const late = setTimeout(() => server.closeAllConnections(), closeMsMax);
  await closed;
  clearInterval(idle);
  clearTimeout(late);
}

function problemResponse(code: ProblemCode, detail: string): Response {
  const { status, body } = problemOf(code, detail);
  return new Response(body, { status, headers: { "content-type": problemType } });
}

// What Node's parser refuses never becomes a request.
function refuseClient(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const [code, detail] = refusalOf(error);
  const { status, body } = problemOf(code, detail);
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-type: ${problemType}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function refusalOf(error: Error & { readonly code?: string }): [ProblemCode, string] {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return ["EDDY_HTTP_HEADERS_TOO_LARGE", `headers may have ${headerBytesMax} bytes in all`];
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return [
        "EDDY_HTTP_TIMEOUT",
        `a request has ${timeouts.headersTimeout / 1_000} s for its headers, ${timeouts.requestTimeout / 1_000} s in all`,
      ];
    default:
      return ["EDDY_HTTP_MALFORMED", "what came is no HTTP/1.1 request"];
  }
}
