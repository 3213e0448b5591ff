// A page in a headless Chromium, where this machine has one: `CHROMIUM_BIN`, or where Debian and others put it.
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { chromium, type Page } from "playwright-core";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export const browserPath = [process.env.CHROMIUM_BIN ?? "", ...places].find(existsSync);

// Without these it looks for its maker's hosts at each start.
const quietly = [
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
}

/** Opens a page of that origin. */
export async function openPage(origin: string): Promise<OpenPage> {
  const browser = await chromium.launch({
    ...(browserPath === undefined ? {} : { executablePath: browserPath }),
    chromiumSandbox: false, // tests may run as root, in a container
    args: quietly,
  });
  const page = await browser.newPage();
  await page.goto(origin);
  return { page, [Symbol.asyncDispose]: () => browser.close() };
}

export interface Site extends AsyncDisposable {
  readonly origin: string;
}

/** A site of one empty page, and one module at `/module.js`. */
export async function serveModule(source: string): Promise<Site> {
  const server = createServer((request, response) => {
    const isModule = request.url === "/module.js";
    response.setHeader("content-type", isModule ? "text/javascript" : "text/html");
    response.end(isModule ? source : "<!doctype html><title>test</title>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
