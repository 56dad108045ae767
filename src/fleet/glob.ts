/** True when the pattern holds `*` or `?`; without one it is an exact name. */
export function hasWildcard(pattern: string): boolean {
  return /[*?]/.test(pattern);
}

/**
 * Matches a whole name, case for case, and gives back what each `*` matched (as little as it can, from the left);
 * null when the name does not match. `*` is any run of characters, `?` is one. The work is bounded by
 * pattern x name, so that no pattern can hang a run.
 */
export function matchGlob(pattern: string, name: string): readonly string[] | null {
  const wanted = Array.from(pattern.replace(/\*{2,}/g, '*'));
  const given = Array.from(name);
  const stars: { start: number; end: number }[] = [];
  let starAt = -1;
  let w = 0;
  let g = 0;
  while (g < given.length) {
    const last = stars.at(-1);
    if (wanted[w] === '*') {
      stars.push({ start: g, end: g });
      starAt = w;
      w += 1;
    } else if (w < wanted.length && (wanted[w] === '?' || wanted[w] === given[g])) {
      w += 1;
      g += 1;
    } else if (last !== undefined) {
      // The last star takes one character more; earlier stars need never be looked at again.
      last.end += 1;
      g = last.end;
      w = starAt + 1;
    } else {
      return null;
    }
  }
  if (wanted[w] === '*') {
    stars.push({ start: g, end: g });
    w += 1;
  }
  if (w < wanted.length) return null;
  return stars.map((star) => given.slice(star.start, star.end).join(''));
}

/** The text before the first wildcard: all that a server needs to narrow its answer without knowing globs. */
export function literalPrefix(pattern: string): string {
  return pattern.slice(0, pattern.search(/[*?]|$/));
}
