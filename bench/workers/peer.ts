// A package of `bench/package.json`, told by as much of its type as is used: types are checked also where nobody has
// installed it, and whatever types it has itself.
export async function peer<Module>(name: string): Promise<Module> {
  return await import(name);
}
