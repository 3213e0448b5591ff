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

/** The client as a page gets it: for browsers alone, so that nothing of Node is in it. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [resolve(import.meta.dirname, "../../runtime/client/index.ts")],
    ...{ bundle: true, format: "esm", platform: "browser", write: false },
  });
  return outputFiles[0]?.text ?? "";
}

// What runs in the page. It is sent there as text, so it uses nothing from here.
async function visit(url: string) {
  const module = "/module.js";
  const { createClient } = (await import(module)) as typeof import("../../runtime/client/index.ts");
  const client = createClient(url);
  const moved = (who: string, to: string) =>
    client.publish({ type: "com.acme.moved", source: "/page", data: { who, to } });
  const { position } = await moved("ann", "oslo");
  const read = await client.read<{ to: string }>("places", "ann", { after: position, wait: "10s" });
  const seen: string[] = [];
  for await (const { key, value } of client.watch<{ to: string }>("places")) {
    seen.push(`${key} ${value?.to ?? "gone"}`);
    if (seen.length === 1) await moved("bob", "bonn");
    if (seen.length === 2) {
      await client.publish({ type: "com.acme.left", source: "/page", data: { who: "ann" } });
    }
    if (seen.length === 3) break;
  }
  const refused = await client.read("nowhere", "k").catch((error: { code?: string }) => error.code);
  return {
    to: read.value?.to,
    stale: read.stalenessMs,
    passed: read.position,
    position,
    seen,
    refused,
  };
}

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
    const { seen, position, ...read } = await open.page.evaluate(visit, node.url);
    assert.deepEqual(read, {
      ...{ to: "oslo", stale: 0, passed: position, refused: "EDDY_PROJECTION_UNKNOWN" },
    });
    assert.deepEqual(seen, ["ann oslo", "bob bonn", "ann gone"]);
  }
  await using open = await openPage(stranger.origin);
  await assert.rejects(open.page.evaluate(visit, node.url), /Failed to fetch/);
});
