// Public as "eddyline/testing": what handler authors test with. No server, and no clock to wait for.
export type { Harness, LoggedLine, Observed, PublishOptions } from "./contract.ts";
export { harness } from "./harness.ts";
