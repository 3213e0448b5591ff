// A handlers folder of a test's own: outside the repo, gone with the scope.
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface TestFolder extends AsyncDisposable {
  readonly path: string;
  write(file: string, text: string): Promise<void>;
}

export async function testFolder(files: Readonly<Record<string, string>>): Promise<TestFolder> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "eddy-modules-")));
  const path = join(root, "handlers");
  const write = async (file: string, text: string) => {
    await mkdir(dirname(join(path, file)), { recursive: true });
    await writeFile(join(path, file), text);
  };
  await mkdir(path);
  for (const [file, text] of Object.entries(files)) await write(file, text);
  return {
    path,
    write,
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

/** A module with one reaction, `react`, whose run returns `answer`. */
export function reaction(answer: string | number): string {
  return reactionTo(JSON.stringify(answer));
}

/** The same with code for the answer. `react` is on the third line. */
export function reactionTo(expression: string, imports = ""): string {
  return `import { event, on, Type } from "eddyline"; ${imports}
const A = event("com.acme.a", Type.Object({}));
export const react = on(A, () => (${expression}) as never);
`;
}

export function projectionNamed(name: string): string {
  return `import { event, projection, Type } from "eddyline";
const A = event("com.acme.a", Type.Object({ n: Type.Number() }));
export const view = projection(${JSON.stringify(name)}, {
  from: [A], key: (e) => e.id, apply: (state, e) => ({ ...state, ...e.data }),
});
`;
}
