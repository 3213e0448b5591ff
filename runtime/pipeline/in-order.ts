// Answers, in the order of their questions: some come at once, some from another thread, and after a reload from two
// threads. Who asks for an event's key must not be overtaken on the way into its lane. Pure.
// O1 An answer is used after those of all questions before it. O2 With nothing asked for it is used at once.

export type InOrder = <Answer>(
  answer: Answer | Promise<Answer>,
  use: (answer: Answer) => void,
  fail: (error: unknown) => void | Promise<void>,
) => Promise<void> | undefined;

/** Gives a promise where somebody has to wait: it resolves once the answer was used, and what `fail` did is over. */
export function createInOrder(): InOrder {
  let last: Promise<void> | undefined;
  let waiting = 0;

  return function inOrder(answer, use, fail) {
    if (last === undefined && !(answer instanceof Promise)) {
      use(answer);
      return undefined;
    }
    const before = last ?? Promise.resolve();
    waiting++;
    const answered = Promise.resolve(answer).then(
      (given) => () => use(given),
      (error: unknown) => () => fail(error),
    );
    let failing: void | Promise<void>;
    const used = before.then(async () => {
      failing = (await answered)();
    });
    const turn = used.finally(() => {
      if (--waiting === 0) last = undefined;
    });
    last = turn.catch(() => {}); // who failed is told; the next ones have their turn
    return turn.then(() => failing);
  };
}
