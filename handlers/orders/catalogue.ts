// What holds before the first event, so that one order is enough to see the whole saga. Entries keep the
// values that they were made with: a change here shows in new entries, and in a rebuild.

/** Credit of a customer who has not registered; com.acme.customer.registered sets another limit. */
export const defaultCreditCents = 500_000;

/** Pieces on the shelf. What is not listed is out of stock. */
export const openingStock: ReadonlyMap<string, number> = new Map([
  ["canoe", 3],
  ["paddle", 40],
  ["rope", 200],
]);
