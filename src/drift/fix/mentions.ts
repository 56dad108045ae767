const word = /"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*/gu;

/**
 * The names that an SQL text may mention, unquoted. Too many rather than too few: words of the language and of texts in
 * it are among them, for a sequence stands in `nextval('…')`.
 */
export function namesIn(text: string): ReadonlySet<string> {
  const found = text.match(word) ?? [];
  return new Set(found.map((each) => (each.startsWith('"') ? each.slice(1, -1).replaceAll('""', '"') : each)));
}
