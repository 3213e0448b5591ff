// A promise that somebody else resolves; the first call counts.

export interface Signal<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
}

export function signal<T>(): Signal<T> {
  let settle: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    settle = done;
  });
  return { promise, resolve: (value: T) => settle(value) };
}
