// GitHub delivers out of order and, after a redelivery by hand, again long after. Each payload is the whole state
// at its `updated_at`, so the newest one wins whenever it comes, and an old one changes nothing. Within one second,
// which is as fine as GitHub's clock is, the order of arrival decides.
export function isStale(known: { updatedAt: string } | undefined, updatedAt: string): boolean {
  return known !== undefined && Date.parse(updatedAt) < Date.parse(known.updatedAt);
}
