import { describe, expect, it } from 'vitest';
import type { Failure } from '../../src/errors.ts';
import { causeKey, neutralText } from '../../src/fleet/cause.ts';
import type { Tenant } from '../../src/fleet/tenant.ts';

function tenant(id: string, schema: string | null = `tenant_${id}`, database = 'saas'): Tenant {
  return { id, server: 'main', database, schema, labels: {}, searchPath: [], role: `${schema}_owner` };
}

const base: Failure = { message: 'relation "x" already exists', sqlState: '42P07', file: 'm/0043.sql', line: 12 };

describe('causeKey', () => {
  it('is equal for one cause, whatever the tenants are called', () => {
    const missing = (id: string): Failure => ({ message: `schema "tenant_${id}" does not exist`, sqlState: '3F000' });
    expect(causeKey(missing('acme'), tenant('acme'))).toBe(causeKey(missing('b"c'), tenant('b"c')));
    const gone = (name: string): Failure => ({ message: `database "${name}" does not exist`, sqlState: '3D000' });
    expect(causeKey(gone('t_1'), tenant('1', null, 't_1'))).toBe(causeKey(gone('t_2'), tenant('2', null, 't_2')));
  });

  it('does not look at DETAIL or the hint', () => {
    const one = { ...base, detail: 'Key (id)=(5) already exists.', hint: 'a' };
    const two = { ...base, detail: 'Key (id)=(77) already exists.' };
    expect(causeKey(one, tenant('a'))).toBe(causeKey(two, tenant('b')));
  });

  it.each<[string, Failure]>([
    ['SQLSTATE', { ...base, sqlState: '42P01' }],
    ['file', { ...base, file: 'm/0044.sql' }],
    ['line', { ...base, line: 13 }],
    ['message', { ...base, message: 'relation "y" already exists' }],
  ])('differs by %s', (_name, other) => {
    expect(causeKey(base, tenant('a'))).not.toBe(causeKey(other, tenant('a')));
  });

  it('is one for a resource that is used up, whatever the message names', () => {
    const full = (file: string): Failure => ({ message: `could not extend file "${file}"`, sqlState: '53100' });
    expect(causeKey(full('base/16384/1'), tenant('a'))).toBe(causeKey(full('base/16384/2'), tenant('b')));
  });

  it('differs by code where there is no SQLSTATE', () => {
    const locked: Failure = { message: 'no', code: 'locked' };
    expect(causeKey(locked, tenant('a'))).not.toBe(causeKey({ message: 'no', code: 'timeout' }, tenant('a')));
  });
});

describe('neutralText', () => {
  it('replaces whole names only, and short ones only in quotes', () => {
    expect(neutralText('a table of "a" is a mess', tenant('a'))).toBe('a table of "{tenant}" is a mess');
    expect(neutralText('tenant_acme.users, not tenant_acme2.users', tenant('acme'))).toBe(
      '{tenant}.users, not tenant_acme2.users',
    );
  });

  it('takes names as they are, not as patterns', () => {
    const odd = tenant('a.*(b', 'a.*(b');
    expect(neutralText('schema "a.*(b" is not "axx(b"', odd)).toBe('schema "{tenant}" is not "axx(b"');
    expect(neutralText('no $& here', tenant('$&x'))).toBe('no $& here');
  });
});
