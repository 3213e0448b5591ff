// Runs tasks with so many at a time; results are in the order of the tasks.

export async function sideBySide<Task, Result>(
  tasks: readonly Task[],
  lanes: number,
  run: (task: Task) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const queue = [...tasks.entries()];
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [at, task] = next;
      results[at] = await run(task);
    }
  };
  await Promise.all(Array.from({ length: lanes }, work));
  return results;
}
