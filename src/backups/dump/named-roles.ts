import type { TocEntry } from '../archive/types.ts';

/** Roles that an archive's SQL names: owners, grantees, roles of policies and of default privileges. */
export function namedRoles(entries: readonly TocEntry[]): readonly string[] {
  const roles = new Set<string>();
  for (const { owner, kind, definition } of entries) {
    if (owner !== null && owner !== '') roles.add(owner);
    if (definition === null) continue;
    if (kind === 'ACL' || kind === 'DEFAULT ACL') {
      for (const role of rolesAfter(definition, grantee)) roles.add(role);
    } else if (kind === 'POLICY') {
      for (const role of rolesAfter(definition, policyRoles)) roles.add(role);
    }
  }
  roles.delete('PUBLIC');
  return [...roles].toSorted();
}

const name = String.raw`(?:"(?:[^"]|"")+"|[\w$\u0080-\uffff]+)`;
const names = `${name}(?:, ${name})*`;
/** pg_dump ends each statement of a grant on its own line. */
const grantee = new RegExp(
  `(?: TO | FROM |FOR ROLE |SET SESSION AUTHORIZATION )(${names})(?=;| WITH GRANT OPTION| IN SCHEMA| GRANT | REVOKE )`,
  'gu',
);
const policyRoles = new RegExp(` TO (${names})(?= USING| WITH CHECK|;)`, 'gu');

function* rolesAfter(text: string, pattern: RegExp): Generator<string> {
  for (const [, list = ''] of text.matchAll(pattern)) {
    for (const [word] of list.matchAll(new RegExp(name, 'gu'))) {
      yield word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word;
    }
  }
}
