// Handler modules: find, compile, load, watch and swap them. Knows the authoring API; not who runs the handlers.

export { build, formatMessages } from "./esbuild.ts";
export type { ModuleFailure } from "./failure.ts";
export { type LoadedModules, loadModules } from "./load.ts";
export { loadFile } from "./load-file.ts";
export type { FolderState, ModuleReport } from "./rescan.ts";
export { mapStack, showPath } from "./stack.ts";
export { createThreads, type FolderSettings, type Threads } from "./threads.ts";
export { createVerify } from "./verify.ts";
export { type ModuleWatch, type WatchOptions, watchModules } from "./watch.ts";
