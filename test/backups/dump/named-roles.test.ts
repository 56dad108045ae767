import { expect, test } from 'vitest';
import type { TocEntry } from '../../../src/backups/archive/types.ts';
import { namedRoles } from '../../../src/backups/dump/named-roles.ts';

function entry(kind: string, owner: string, definition: string): TocEntry {
  return {
    dumpId: 1,
    hasDumper: false,
    catalogId: { tableOid: '0', oid: '0' },
    tag: 't',
    kind,
    section: 'pre-data',
    definition,
    dropStatement: null,
    copyStatement: null,
    namespace: 's',
    owner,
    dependencies: [],
    data: { state: 'none', offset: 0n },
    raw: Buffer.alloc(0),
  };
}

test('owners, grantees, and the roles of policies and default privileges are named', () => {
  const roles = namedRoles([
    entry('TABLE', 'owner_of_it', "CREATE TABLE s.t (x text DEFAULT ' TO nobody;');"),
    entry(
      'ACL',
      'owner_of_it',
      'GRANT SELECT,INSERT ON TABLE s.t TO app_rw;\nGRANT ALL ON TABLE s.t TO "We""ird" WITH GRANT OPTION;\n',
    ),
    entry('ACL', '', 'REVOKE ALL ON TABLE s.t FROM PUBLIC;\nREVOKE ALL ON TABLE s.t FROM postgres;\n'),
    entry(
      'DEFAULT ACL',
      'a',
      'ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA s GRANT SELECT ON TABLES TO reader;\n',
    ),
    entry('POLICY', 'a', 'CREATE POLICY p ON s.t TO ada, "Böb" USING ((x = \'a\'::text));\n'),
  ]);
  expect(roles).toEqual(['Böb', 'We"ird', 'a', 'ada', 'app_rw', 'maker', 'owner_of_it', 'postgres', 'reader']);
});
