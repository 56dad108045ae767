/** `1 tenant`, `37 tenants`. */
export function plural(count: number, noun: string, pluralNoun = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : pluralNoun}`;
}

/** `a, b, c and 34 more`; names come out as they are given. */
export function listNames(names: readonly string[], atMost = 3): string {
  const shown = names.slice(0, atMost);
  const rest = names.length - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${rest} more`;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

/** One word for a POSIX shell. */
export function shellQuote(word: string): string {
  if (/^[\w./:@%+,=-]+$/u.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** `512 B`, `1.4 MB`; powers of 1000, as disks and clouds count. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return unit === 0 || value >= 9.95 ? `${Math.round(value)} ${units[unit]}` : `${value.toFixed(1)} ${units[unit]}`;
}
