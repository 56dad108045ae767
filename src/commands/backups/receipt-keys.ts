/**
 * Keys of the archives that a living receipt names: the only copy of a tenant that sleeps. No command makes receipts
 * yet, so there are none; what makes them reads them here.
 */
export async function receiptKeys(): Promise<ReadonlySet<string>> {
  return new Set();
}
