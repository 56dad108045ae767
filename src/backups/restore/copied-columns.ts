/**
 * The columns of `COPY schema.table (a, "b c") FROM stdin;` as pg_dump writes it; null when it is none, or names no
 * columns.
 */
export function copiedColumns(statement: string): readonly string[] | null {
  const name = String.raw`(?:"(?:[^"]|"")*"|[^\s".(),]+)`;
  const list = new RegExp(String.raw`^COPY ${name}\.${name} \((${name}(?:, ${name})*)\) FROM stdin;`, 's').exec(
    statement,
  );
  if (list?.[1] === undefined) return null;
  const names = list[1].match(new RegExp(name, 'gs')) ?? [];
  return names.map((each) => (each.startsWith('"') ? each.slice(1, -1).replaceAll('""', '"') : each));
}
