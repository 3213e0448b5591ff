// Public as "eddyline/testing": what handler authors test with. No server, and no clock to wait for.
export {
  type Harness,
  harness,
  type LoggedLine,
  type Observed,
  type PublishOptions,
} from "./harness.ts";
