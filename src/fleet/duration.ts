const unitMs = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A number and one unit (`500ms`, `30s`, `15min`, `1.5h`, `30d`), or a bare 0. */
export const durationPattern = /^(?:0|(\d{1,12}(?:\.\d{1,3})?)(ms|s|min|m|h|d))$/;

/** Milliseconds, rounded to whole ones; null when the text is no duration. A number without a unit is none: of what? */
export function parseDuration(text: string): number | null {
  const match = durationPattern.exec(text);
  if (match === null) return null;
  const [, amount, unit] = match;
  if (amount === undefined || unit === undefined) return 0;
  return Math.round(Number(amount) * unitMs[unit as keyof typeof unitMs]);
}

/** For people: `850ms`, `12.3s`, `2min 5s`, `1h 30min`, `3d 4h`. */
export function formatDuration(durationMs: number): string {
  const ms = Math.max(0, Math.round(durationMs));
  if (ms < 1000) return `${ms}ms`;
  if (ms < 59_950) return `${Number((ms / 1000).toFixed(1))}s`;
  if (ms < 3_599_500) return pair(Math.round(ms / 1000), 60, 'min', 's');
  if (ms < 86_370_000) return pair(Math.round(ms / 60_000), 60, 'h', 'min');
  return pair(Math.round(ms / 3_600_000), 24, 'd', 'h');
}

function pair(amount: number, base: number, large: string, small: string): string {
  const rest = amount % base;
  const whole = `${Math.floor(amount / base)}${large}`;
  return rest === 0 ? whole : `${whole} ${rest}${small}`;
}
