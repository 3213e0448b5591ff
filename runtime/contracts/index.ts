// Contracts: the schema of an event type as a check that anyone can run, and what a declaration mixes up.
export { type Mixture, mixturesIn } from "./mixtures.ts";
export { type Validate, validatorOf } from "./validator.ts";
