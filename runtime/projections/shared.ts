// One question to the server for all who ask it at the same time: a crowd that waits costs what one costs.
// S1 An answer is of a request that was sent after it was asked for: what is asked while one is under way waits for the next.

/** Asks what a key stands for. */
export type Shared<T> = (key: string, ask: () => Promise<T>) => Promise<T>;

export function createShared<T>(): Shared<T> {
  const asked = new Map<string, { readonly now: Promise<T>; next: Promise<T> | undefined }>();

  function begin(key: string, ask: () => Promise<T>): Promise<T> {
    const now = ask();
    const line = { now, next: undefined };
    asked.set(key, line);
    const end = () => {
      if (asked.get(key) === line && line.next === undefined) asked.delete(key);
    };
    now.then(end, end);
    return now;
  }

  return (key, ask) => {
    const line = asked.get(key);
    if (line === undefined) return begin(key, ask);
    const after = () => begin(key, ask);
    line.next ??= line.now.then(after, after);
    return line.next;
  };
}
