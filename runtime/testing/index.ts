// Public as "eddyline/testing": what handler authors test with. No server, no clock to wait for.
export { type Harness, harness, type PublishOptions } from "./harness.ts";
export type { Observed, Verdict } from "./verdict.ts";
