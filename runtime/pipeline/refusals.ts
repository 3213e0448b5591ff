// What a committer says while its stream takes nothing. Pure.

export function whyRefused({ description, code }: { description: string; code: number }): string {
  return `${description} (${code})`;
}

export function unansweredText(stream: string): string {
  return `a batch to ${stream} was not answered; it is looked up in the ledgers as soon as the server answers`;
}

export function unableText(
  stream: string,
  { code, description }: { code: number; description: string },
) {
  return (
    `stream ${stream} takes no batch: ${description} (${code}). Nothing is dropped; handlers wait. Look at the ` +
    "stream's settings and at the log of nats-server; a restart of the runtime sets what it needs"
  );
}

export function fullText(stream: string, description: string): string {
  return (
    `stream ${stream} refuses to store: ${description}. Nothing is dropped; handlers wait until there is room. ` +
    "Raise home.maxBytes, lower home.retention, or see which handler is far behind (eddy handlers)"
  );
}
