import { TenantError } from '../../errors.ts';
import type { Task } from '../../fleet/place.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import type { Session } from '../../postgres/session.ts';
import { inParallel } from '../repository/in-parallel.ts';
import type { BackupManifest, ExtensionNeed } from '../repository/manifest.ts';
import { archiveKey } from '../repository/names.ts';
import { isStoreError, type StoredArchive, takeBack } from './archive-writer.ts';
import type { TakenCompanions } from './companion-book.ts';
import { type Dumped, type DumpedPlace, type DumpScope, subjectOf } from './dumped-place.ts';
import { makeManifest } from './manifests.ts';
import { readFencedSchemas, readStandings } from './snapshot.sql.ts';
import type { Snapshot } from './snapshot-holder.ts';

/** Manifests that are written at once. */
const manifestsAtOnce = 8;

export interface GoodDump {
  readonly tenants: readonly Tenant[];
  /** Who has an archive and no manifest: taken out when that is settled. */
  readonly unsettled: Map<Tenant, StoredArchive>;
  /** How many one pg_dump wrote together, and in what time. */
  readonly batch: number;
  readonly durationMs: number;
}

/** What the fence has looked at becomes a backup, and its tenant is done. */
export async function writeManifests(
  place: DumpedPlace,
  scope: DumpScope,
  snapshot: Snapshot,
  { tenants, unsettled, batch, durationMs }: GoodDump,
  task: Task<Dumped>,
): Promise<void> {
  if (tenants.length === 0) return;
  const companions = await scope.companions.of(snapshot, task.signal);
  const schemas = tenants.map((tenant) => tenantSchema(tenant));
  const standings = await readStandings(snapshot.session, schemas, place.settings.historyTable);
  const fenced = await readFenced(snapshot.session, tenants);
  const { extensions } = scope.companions.database;
  await inParallel(tenants, manifestsAtOnce, async (tenant) => {
    const { server, database, schema } = tenant;
    const manifest = makeManifest(place.facts, snapshot, unsettled.get(tenant)!, {
      place: { server, database, schema },
      made: { batch, durationMs, ...(batch === 1 ? { alone: whyAlone(tenant, snapshot) } : {}) },
      extensions,
      companions: companions.keys,
      tenant,
      standing: standings.get(tenantSchema(tenant)) ?? null,
      isFenced: fenced.has(tenant),
      remarks: [...remarksOf(tenant, companions), ...ownExtensions(tenant, extensions)],
    });
    try {
      await scope.dump.repository.putManifest(manifest, task.signal);
    } catch (error) {
      if (!(error instanceof TenantError)) throw error;
      // Where the copy alone failed, the first place has a good backup.
      if (isStoreError(error)) await takeBack(scope.dump.repository, [subjectOf(tenant)], snapshot.time, task.signal);
      unsettled.delete(tenant);
      fail(scope, tenant, task, error);
      return;
    }
    unsettled.delete(tenant);
    scope.tries.settle(tenant);
    task.done(tenant, describeDumped(manifest));
  });
}

function describeDumped({
  subject,
  time,
  encryption,
  file,
  tables,
  snapshot,
  migration,
  made,
  remarks,
}: BackupManifest): Dumped {
  return {
    time,
    archive: archiveKey(subject, time, encryption !== null),
    sizeBytes: file.sizeBytes,
    tables: tables.length,
    rows: tables.reduce((sum, { rows }) => sum + (rows ?? 0), 0),
    takenAt: snapshot.takenAt,
    isCommon: snapshot.isCommon,
    version: migration?.version ?? null,
    batch: made.batch,
    remarks,
  };
}

/** A database of its own keeps its rights inside it; only who may connect to it is behind the fence. */
async function readFenced(session: Session, tenants: readonly Tenant[]): Promise<ReadonlySet<Tenant>> {
  const schemas = tenants.flatMap(({ schema }) => schema ?? []);
  const fenced = schemas.length === 0 ? new Set<string>() : await readFencedSchemas(session, schemas);
  return new Set(tenants.filter(({ schema }) => schema !== null && fenced.has(schema)));
}

/** It has no backup, and is not tried again. */
export function fail(scope: DumpScope, tenant: Tenant, task: Task<Dumped>, error: unknown): void {
  scope.tries.settle(tenant);
  task.failed(tenant, error);
}

function whyAlone({ schema }: Tenant, { number }: Snapshot): string {
  if (schema === null) return 'a database of its own';
  return number > 1 ? 'dumped again by itself' : 'no other tenant was in its batch';
}

/** pg_dump -n leaves out what belongs to an extension, and the schema that it stands in comes back without it. */
function ownExtensions({ schema }: Tenant, extensions: readonly ExtensionNeed[]): string[] {
  const own = schema === null ? [] : extensions.filter((extension) => extension.schema === schema);
  return own.map(({ name }) => {
    return `extension ${name} is installed in this schema and not in the archive: it cannot be restored like that, move it to a shared schema`;
  });
}

function remarksOf({ schema }: Tenant, { lacking, largeObjectColumns }: TakenCompanions): string[] {
  const columns = schema === null ? undefined : largeObjectColumns?.get(schema);
  if (columns === undefined) return [...lacking];
  return [
    ...lacking,
    `may name large objects, which are in an archive of their own: ${columns.slice(0, 5).join(', ')}`,
  ];
}
