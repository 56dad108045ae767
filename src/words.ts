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
