// `eddyline/client` in a real browser, from a page of another origin.
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";
import { browserPath, openPage, serveModule } from "../support/browser.ts";
import { startWorld } from "../support/world.ts";

const places = `
import { event, projection, Type } from "eddyline";
const Moved = event("com.acme.moved", Type.Object({ who: Type.String(), to: Type.String() }));
const Left = event("com.acme.left", Type.Object({ who: Type.String() }));
export const places = projection("places", {
  from: [Moved, Left],
  key: (e) => e.data.who,
  apply: (_, e) => (e.type === Left.type ? null : e.data),
});
`;

const visit = `
import { createClient } from "./runtime/client/index.ts";

export async function visit(url) {
  const client = createClient(url);
  const moved = (who, to) =>
    client.publish({ type: "com.acme.moved", source: "/page", data: { who, to } });
  const { position } = await moved("ann", "oslo");
  const read = await client.read("places", "ann", { after: position, wait: "10s" });
  const seen = [];
  for await (const { key, value } of client.watch("places")) {
    seen.push(key + " " + (value?.to ?? "gone"));
    if (seen.length === 1) await moved("bob", "bonn");
    if (seen.length === 2) await client.publish({ type: "com.acme.left", source: "/page", data: { who: "ann" } });
    if (seen.length === 3) break;
  }
  const refused = await client.read("nowhere", "k").catch((error) => error.code);
  return { to: read.value?.to, stale: read.stalenessMs, passed: read.position === position, seen, refused };
}
`;

/** For browsers alone, so that nothing of Node is in it. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: visit, resolveDir: resolve(import.meta.dirname, "../..") },
    ...{ bundle: true, format: "esm", platform: "browser", write: false },
  });
  return outputFiles[0]?.text ?? "";
}

const visitOf = (url: string) =>
  `import("/module.js").then(({ visit }) => visit(${JSON.stringify(url)}))`;

const skip = browserPath === undefined && "there is no Chromium here: CHROMIUM_BIN names one";

test("a page of an allowed origin publishes, reads what it wrote, and watches; one of another origin cannot", {
  skip,
}, async () => {
  const source = await bundle();
  await using site = await serveModule(source);
  await using stranger = await serveModule(source);
  await using world = await startWorld({ "places.ts": places });
  await using node = await world.start({ env: { EDDY_HTTP_ORIGINS: site.origin } });
  {
    await using open = await openPage(site.origin);
    assert.deepEqual(await open.page.evaluate(visitOf(node.url)), {
      ...{ to: "oslo", stale: 0, passed: true, refused: "EDDY_PROJECTION_UNKNOWN" },
      seen: ["ann oslo", "bob bonn", "ann gone"],
    });
  }
  await using open = await openPage(stranger.origin);
  await assert.rejects(open.page.evaluate(visitOf(node.url)), /Failed to fetch/);
});
