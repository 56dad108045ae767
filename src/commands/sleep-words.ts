/** `hibernated since 2026-11-22 (archive)`; the day is UTC's. */
export function sleepWords(sleep: {
  readonly state: string;
  readonly how: string;
  readonly since: Date | string;
}): string {
  return `${sleep.state} since ${dayOf(sleep.since)} (${sleep.how})`;
}

/** `2026-11-22`, UTC. */
export function dayOf(time: Date | string): string {
  return new Date(time).toISOString().slice(0, 10);
}
