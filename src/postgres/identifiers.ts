/** PostgreSQL cuts longer names without an error (NAMEDATALEN - 1). */
export const maxIdentifierBytes = 63;

/** Always quoted, so that no name can be read as anything else. */
export function quoteIdentifier(name: string): string {
  if (name.includes('\0')) throw new RangeError('an identifier cannot hold a NUL character');
  return `"${name.replaceAll('"', '""')}"`;
}

/** A schema-qualified name. */
export function quoteQualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** The value of a search_path setting. */
export function quoteSearchPath(schemas: readonly string[]): string {
  return schemas.map(quoteIdentifier).join(', ');
}
