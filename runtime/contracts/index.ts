// Contracts: the schema of an event type as a check that anyone can run.
export { type Validate, validatorOf } from "./validator.ts";
