import type { Context } from '../../context.ts';
import type { ScannedTenant } from '../../drift/group.ts';
import { majorityReference } from '../../drift/majority.ts';
import type { Reference } from '../../drift/reference.ts';
import type { Fleet } from '../open-fleet.ts';
import { fileReference } from './reference-file.ts';
import { migrationsReference } from './reference-migrations.ts';
import { schemaReference, tenantReference } from './reference-tenant.ts';
import { readTenantFacts } from './scan-fleet.ts';

/** What tenants are held to, as it was typed with `--against`. */
export type Against =
  | { readonly kind: 'majority' | 'migrations' }
  | { readonly kind: 'tenant' | 'schema' | 'file'; readonly of: string };

export interface ReferenceOptions {
  readonly against: Against;
  /** The tenants to be held to it. */
  readonly scanned: readonly ScannedTenant[];
  /** All tenants that a scan has an answer for, `scanned` among them: the majority is theirs. */
  readonly voters: readonly ScannedTenant[];
}

/**
 * Finds or makes what tenants are held to, after they were scanned. Throws what ends the command: a file that is no
 * snapshot (2), a tenant that nobody knows (2), a server on which no scratch database can be made (5).
 */
export async function makeReference(
  context: Context,
  fleet: Fleet,
  { against, scanned, voters }: ReferenceOptions,
): Promise<Reference> {
  switch (against.kind) {
    case 'majority':
      return majorityReference({ voters, held: scanned }, (tenant) => readTenantFacts(context, fleet, tenant));
    case 'migrations':
      return migrationsReference(context, fleet, scanned);
    case 'tenant':
      return tenantReference(context, fleet, against.of, scanned);
    case 'schema':
      return schemaReference(context, fleet, against.of, scanned);
    case 'file':
      return fileReference(context, against.of);
  }
}
