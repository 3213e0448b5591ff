// Reads apt's own configuration: which Debian mirrors does this machine use? Pure.
// Both formats of sources.list(5): one line an entry, and deb822 paragraphs.

type AptSource = {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  readonly signedBy: string;
};

/** What `apt-get indextargets` is asked to print: empty until the first `apt-get update`. */
export const indexTargetsFormat = "$(ORIGIN)\t$(LABEL)\t$(REPO_URI)";

export function mirrorsInIndexTargets(output: string): string[] {
  const rows = output.split("\n").map((line) => line.split("\t"));
  return unique(
    rows.flatMap(([origin, label, uri]) =>
      origin === "Debian" && label === "Debian" && uri ? [uri] : [],
    ),
  );
}

/**
 * Mirrors of Debian in the text of sources files. A wrong guess is harmless: whatever answers there
 * must carry a signature of Debian's archive key.
 */
export function mirrorsInSources(text: string): string[] {
  return unique(
    [...oneLineEntries(text), ...paragraphs(text)].filter(isDebian).flatMap((s) => s.uris),
  );
}

function isDebian(source: AptSource): boolean {
  if (!source.components.includes("main")) return false;
  if (source.suites.some((suite) => suite.includes("security"))) return false;
  const signedByDebian = source.signedBy.includes("debian-archive-keyring");
  return signedByDebian || source.uris.some((uri) => /\/debian(\.list)?\/?$/.test(uri));
}

function oneLineEntries(text: string): AptSource[] {
  return [...text.matchAll(/^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#\n]*)/gm)].map(
    ([, options = "", uri = "", suite = "", components = ""]) => ({
      uris: [uri],
      suites: [suite],
      components: words(components),
      signedBy: /signed-by=(\S+)/i.exec(options)?.[1] ?? "",
    }),
  );
}

function paragraphs(text: string): AptSource[] {
  const withoutComments = text.replace(/^#.*\n?/gm, "");
  return withoutComments.split(/\n\s*\n/).flatMap((paragraph) => {
    const field = (name: string) =>
      new RegExp(`^${name}:(.*(?:\\n[ \\t].*)*)`, "im").exec(paragraph)?.[1] ?? "";
    if (!words(field("Types")).includes("deb") || /^\s*no\s*$/i.test(field("Enabled"))) return [];
    return {
      uris: words(field("URIs")),
      suites: words(field("Suites")),
      components: words(field("Components")),
      signedBy: field("Signed-By").trim(),
    };
  });
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values.map((value) => value.replace(/\/$/, "")))];
}
