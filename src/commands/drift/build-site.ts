import { hash } from 'node:crypto';
import type { Context } from '../../context.ts';
import { factsChecksum } from '../../drift/fact-statements.ts';
import { hashSchemas, mapSchemas } from '../../drift/hash-schemas.ts';
import { filledSchemas, type Ground, readGround } from '../../drift/scratch-ground.ts';
import { snapshotFormat } from '../../drift/snapshot-text.ts';
import { TenantError } from '../../errors.ts';
import { placeKey, type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import type { Migration, MigrationFolder } from '../../migrations/folder.ts';
import { listExtensions, readTraits } from '../../postgres/scratch-database.ts';
import { majorOf } from '../../postgres/server-version.ts';
import type { Session } from '../../postgres/session.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import { surveyShared } from '../migrate/survey-fleet.ts';
import type { Fleet } from '../open-fleet.ts';

/** A shared schema and the migrations that it has. */
export interface SharedBuild {
  readonly tenant: Tenant;
  readonly folder: MigrationFolder;
  readonly migrations: readonly Migration[];
}

/** What migrations are built upon: the surroundings of a tenant that stands for many. */
export interface BuildSite {
  /** The scratch database gets its schema, its search path and its role. */
  readonly model: Tenant;
  readonly major: number;
  readonly ground: Ground;
  readonly extensions: readonly { readonly name: string; readonly schema: string }[];
  readonly shared: readonly SharedBuild[];
  /** Schemas of the search path that no migrations of ours build: their structure is copied. */
  readonly copied: readonly string[];
  /** Equal where the same migrations build the same. */
  readonly checksum: string;
}

/** Looks around in a tenant's database. Throws what is in the way of building there. */
export async function describeSite(context: Context, fleet: Fleet, model: Tenant): Promise<BuildSite> {
  const shared = await findShared(context, fleet, model);
  const built = new Set([tenantSchema(model), ...shared.map(({ tenant }) => tenantSchema(tenant))]);
  const beside = model.searchPath.filter((schema) => !built.has(schema) && !schema.startsWith('pg_'));
  const { server, database } = model;
  const seen = await fleet.pools.use(server, database, async (session) => {
    await prepareReader(session, applicationName(fleet.run, 'drift'));
    const [traits, ground, extensions, copied] = await Promise.all([
      readTraits(session),
      readGrounds(session, [...shared.map(({ tenant }) => tenantSchema(tenant)), tenantSchema(model)]),
      listExtensions(session),
      filledSchemas(session, beside),
    ]);
    return { traits, ground, extensions, copied, shapes: await readShapes(session, copied) };
  });
  const { traits, shapes, ...found } = seen;
  const major = majorOf(fleet.servers.facts(server)?.versionNum ?? 0);
  const files = shared.map(({ tenant, migrations }) => [tenantSchema(tenant), ...migrations.map(fileKey)]);
  const { searchPath, schema, role } = model;
  const facts = [snapshotFormat, factsChecksum(major)];
  const about = { facts, major, schema, searchPath, role, traits, ...found, shapes, files };
  return { model, major, shared, ...found, checksum: hash('sha256', JSON.stringify(about)) };
}

/** Names and texts: what a build rests on. */
export function fileKey({ name, checksum }: Migration): string {
  return `${name} ${checksum}`;
}

/** Those of the model's database, with the migrations that they have had. */
async function findShared(context: Context, fleet: Fleet, model: Tenant): Promise<readonly SharedBuild[]> {
  const isBeside = (place: { readonly server: string; readonly database: string }) => {
    return placeKey(place) === placeKey(model);
  };
  const surveyed = await surveyShared(context, { ...fleet, tenants: [model] });
  return surveyed.flatMap(({ folder, outcomes }) =>
    outcomes
      .filter(({ tenant }) => isBeside(tenant))
      .map((outcome) => {
        const { tenant } = outcome;
        if (outcome.status !== 'done') {
          throw new TenantError('error' in outcome && outcome.error ? outcome.error : { message: 'stopped' });
        }
        const { applied } = outcome.value.standing;
        const names = new Set(applied.map(({ name }) => name));
        return { tenant, folder, migrations: folder.migrations.filter(({ name }) => names.has(name)) };
      }),
  );
}

/** What is shared stands first: a tenant may need it. */
async function readGrounds(session: Session, schemas: readonly string[]): Promise<Ground> {
  const grounds = await Promise.all(schemas.map((schema) => readGround(session, schema)));
  return { statements: [...new Set(grounds.flatMap(({ statements }) => statements))] };
}

/** Only to know whether they are what they were. */
async function readShapes(session: Session, schemas: readonly string[]): Promise<readonly string[]> {
  if (schemas.length === 0) return [];
  const mapped = await mapSchemas(session, schemas);
  await session.raw('BEGIN READ ONLY');
  const shapes = await hashSchemas(session, [...mapped.values()], (schema) => ({ schema, id: schema, role: null }));
  await session.raw('COMMIT');
  return schemas.map((schema) => `${schema} ${shapes.get(schema)?.shape}`);
}
