import { type FactKind, printed } from './fact-kind.ts';
import { publicationName, quoted, roleName } from './words.sql.ts';

const enabledWord = (letter: string) =>
  `CASE ${letter} WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always' END`;

const trigger: FactKind = {
  kind: 'trigger',
  class: 'structural',
  from: `rel r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid WHERE r.relhastriggers AND NOT t.tgisinternal`,
  name: `r.name || '.' || ${quoted('t.tgname')}`,
  table: 'r.name',
  attributes: {
    definition: printed('pg_catalog.pg_get_triggerdef(t.oid, true)'),
    enabled: ['security', enabledWord('t.tgenabled')],
    inherited: 't.tgparentid <> 0',
  },
};

const rule: FactKind = {
  kind: 'rule',
  class: 'structural',
  from: `rel r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid WHERE r.relhasrules AND w.rulename <> '_RETURN'`,
  name: `r.name || '.' || ${quoted('w.rulename')}`,
  table: 'r.name',
  attributes: {
    definition: printed('pg_catalog.pg_get_ruledef(w.oid, true)'),
    enabled: ['security', enabledWord('w.ev_enabled')],
  },
};

const policy: FactKind = {
  kind: 'policy',
  class: 'security',
  from: `rel r JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid WHERE r.relkind IN ('r', 'p')`,
  name: `r.name || '.' || ${quoted('p.polname')}`,
  table: 'r.name',
  attributes: {
    command: `CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END`,
    permissive: 'p.polpermissive',
    roles: `(SELECT pg_catalog.array_agg(n.name ORDER BY n.name COLLATE "C") FROM (
        SELECT CASE WHEN u.oid = 0 THEN 'PUBLIC' ELSE ${roleName('u.oid')} END AS name
          FROM pg_catalog.unnest(p.polroles) u(oid)) n)`,
    using: printed('pg_catalog.pg_get_expr(p.polqual, p.polrelid)'),
    'with check': printed('pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)'),
  },
};

/** Publications belong to the database; that the tenant's table is in one is the tenant's. */
export function publishedTable(major: number): FactKind {
  return {
    kind: 'publication',
    class: 'structural',
    from: `rel r JOIN pg_catalog.pg_publication_rel m ON m.prrelid = r.oid JOIN pg_catalog.pg_publication p ON p.oid = m.prpubid
      WHERE EXISTS (SELECT FROM pg_catalog.pg_publication)`,
    name: `${publicationName('p.pubname')} || ': ' || r.name`,
    table: 'r.name',
    attributes:
      major < 15
        ? {}
        : {
            columns: `(SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attname COLLATE "C")
              FROM pg_catalog.unnest(m.prattrs::pg_catalog.int2[]) n(attnum)
              JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = n.attnum)`,
            where: printed('pg_catalog.pg_get_expr(m.prqual, m.prrelid)'),
          },
  };
}

export const attachedKinds: readonly FactKind[] = [trigger, rule, policy];
