import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { build, parseDockerfile } from "./dockerfile.ts";

const root = await mkdtemp(join(tmpdir(), "eddy-dockerfile-"));
after(() => rm(root, { recursive: true, force: true }));

test("the base images of our Dockerfile can be given as build arguments", async () => {
  const text = await readFile("Dockerfile", "utf8");
  const bases = (args: Record<string, string>) => parseDockerfile(text, args).map((s) => s.base);
  assert.ok(bases({}).every((base) => base.startsWith("node:")));
  assert.deepEqual(bases({ BASE_IMAGE: "hardened/node", BUILD_IMAGE: "builder" }), [
    "builder",
    "hardened/node",
  ]);
});

test("stages are performed in folders, and the last one is the image", async () => {
  const context = join(root, "context");
  await mkdir(join(context, "secret"), { recursive: true });
  await writeFile(join(context, "a.txt"), "a");
  await writeFile(join(context, ".dockerignore"), "secret\n");
  const text = `ARG BASE=b
FROM x AS build
WORKDIR /app
COPY . .
RUN cat a.txt a.txt > aa.txt \\
    && echo done
FROM \${BASE} AS final
WORKDIR /srv
# a comment
COPY --from=build /app/aa.txt ./
ENV A=1 \\
    B=/x=y
USER 5:5
ENTRYPOINT ["node", "x.js"]
CMD ["start"]
`;
  const image = await build(parseDockerfile(text), context, join(root, "stages"));
  assert.equal(await readFile(join(image.root, "srv/aa.txt"), "utf8"), "aa");
  assert.deepEqual(await readdir(join(root, "stages/build/app")), [
    ".dockerignore",
    "a.txt",
    "aa.txt",
  ]);
  assert.deepEqual(image.env, { A: "1", B: "/x=y" });
  assert.deepEqual([image.user, image.workdir], ["5:5", "/srv"]);
  assert.deepEqual(image.command, ["node", "x.js", "start"]);
});

test("D1: what is not known is an error", async () => {
  const context = join(root, "empty");
  await mkdir(context);
  await writeFile(join(context, ".dockerignore"), "");
  const perform = (line: string) =>
    build(parseDockerfile(`FROM x\n${line}\n`), context, join(root, "unknown"));
  await assert.rejects(perform("ONBUILD RUN true"), /ONBUILD is not known/);
  await assert.rejects(perform("COPY --chown=1:1 a b"), /--chown=1:1 is not known/);
  await assert.rejects(perform("RUN exit 3"), /Command failed/);
});
