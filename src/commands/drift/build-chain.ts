import type { Context } from '../../context.ts';
import type { FactSet } from '../../drift/fact.ts';
import { mapSchemas } from '../../drift/hash-schemas.ts';
import { readFacts } from '../../drift/read-facts.ts';
import type { NotHeld } from '../../drift/reference.ts';
import { ownNames } from '../../drift/scan-batch.ts';
import { makeGround } from '../../drift/scratch-ground.ts';
import { TenantError } from '../../errors.ts';
import { type Tenant, tenantSchema } from '../../fleet/tenant.ts';
import { changeTenant, type KnownHistory } from '../../migrations/change-tenant.ts';
import type { Migration, MigrationFolder } from '../../migrations/folder.ts';
import { type AppliedMigration, noHistory } from '../../migrations/history.ts';
import type { Inspector } from '../../migrations/inspection.ts';
import { type BuildMigration, loadJavaScript } from '../../migrations/javascript.ts';
import { toFailure } from '../../postgres/failure.ts';
import type { Session } from '../../postgres/session.ts';
import { applicationName, prepareReader } from '../../postgres/tenant-session.ts';
import type { Fleet } from '../open-fleet.ts';
import type { BuildSite } from './build-site.ts';
import { copyStructure } from './copy-structure.ts';
import { withScratch } from './with-scratch.ts';

/** Migrations that a tenant has, in the folder's order. */
export type MigrationSet = readonly Migration[];

/** What one set of migrations builds, or why it cannot be built. */
export type Built = FactSet | NotHeld;

export interface BuildMeans {
  readonly folder: MigrationFolder;
  readonly site: BuildSite;
  readonly inspector: Inspector;
}

/** Builds sets that go on from each other in one scratch database, reading what stands there after each. */
export function buildChain(
  context: Context,
  fleet: Fleet,
  { folder, site, inspector }: BuildMeans,
  chain: readonly MigrationSet[],
): Promise<readonly (readonly [MigrationSet, Built])[]> {
  return withScratch(context, fleet, site.model, async ({ session, database, ...scratch }) => {
    const run = new BuildRun(context, fleet, session, inspector);
    const model = { ...site.model, database };
    const lacking = [...scratch.lacking, ...(await makeGround(session, site.ground, site.extensions))];
    const notCopied = await copyStructure(context, fleet, site, session);
    for (const shared of site.shared) {
      await run.migrate({ ...shared.tenant, database }, shared.folder, shared.migrations);
    }
    const built: (readonly [MigrationSet, Built])[] = [];
    let failed: NotHeld | null = null;
    for (const set of chain) {
      try {
        // Those after one that fails begin with what failed.
        if (failed === null) await run.migrate(model, folder, set);
        built.push([set, failed ?? (await run.read(model))]);
      } catch (error) {
        context.interrupts.stop.throwIfAborted();
        failed = notBuilt(error, [...lacking, ...notCopied]);
        built.push([set, failed]);
      }
    }
    return built;
  });
}

/** As an answer for the tenants that would be held to it. `lacking`: what could not be made beforehand. */
export function notBuilt(error: unknown, lacking: readonly string[] = []): NotHeld {
  const { message, file, line, hint } = toFailure(error);
  const at = file === undefined ? '' : `${file}${line === undefined ? '' : `:${line}`}: `;
  const told = lacking.length === 0 ? hint : lacking.join('; ');
  return { why: `the migrations cannot be built: ${at}${message}`, ...(told === undefined ? {} : { hint: told }) };
}

/** A history that is not there; one that is, is seen under the lock. */
const unknown: KnownHistory = {
  place: { schemaExists: true, tableExists: false, hasChecksum: false, hasRun: false },
  fingerprint: noHistory,
};

/** The session of a scratch database, and how migrations are run on it: exactly as on a tenant. */
class BuildRun {
  readonly #context: Context;
  readonly #fleet: Fleet;
  readonly #session: Session;
  readonly #inspector: Inspector;
  readonly #builders = new Map<MigrationFolder, Promise<BuildMigration>>();

  constructor(context: Context, fleet: Fleet, session: Session, inspector: Inspector) {
    this.#context = context;
    this.#fleet = fleet;
    this.#session = session;
    this.#inspector = inspector;
  }

  /** Runs those of the migrations that the tenant has not had yet. */
  async migrate(tenant: Tenant, folder: MigrationFolder, migrations: readonly Migration[]): Promise<void> {
    const { run, inventory } = this.#fleet;
    const plan = (applied: readonly AppliedMigration[]) => {
      const had = new Set(applied.map(({ name }) => name));
      return { from: null, to: null, migrations: migrations.filter(({ name }) => !had.has(name)) };
    };
    const usesJavaScript = migrations.some(({ kind }) => kind === 'js');
    const build = usesJavaScript ? await this.#builder(folder) : noJavaScript;
    await changeTenant(this.#session, tenant, unknown, plan([]), {
      run,
      applicationName: applicationName(run, 'drift'),
      lockTimeoutMs: inventory.timeouts.lockMs,
      statementTimeoutMs: inventory.timeouts.statementMs,
      indexTimeoutMs: inventory.timeouts.indexBuildMs,
      signal: this.#context.interrupts.stop,
      onStep: () => {},
      engine: { direction: 'up', fake: false, inspector: this.#inspector, build },
      plan,
    });
  }

  /** All facts of what stands in the tenant's schema. */
  async read(tenant: Tenant): Promise<FactSet> {
    const schema = tenantSchema(tenant);
    await prepareReader(this.#session, applicationName(this.#fleet.run, 'drift'));
    const mapped = (await mapSchemas(this.#session, [schema])).get(schema);
    if (mapped === undefined) throw new TenantError({ message: `the migrations removed the schema ${schema}` });
    await this.#session.raw('BEGIN READ ONLY');
    const facts = await readFacts(this.#session, mapped, ownNames(tenant));
    await this.#session.raw('COMMIT');
    return facts;
  }

  #builder(folder: MigrationFolder): Promise<BuildMigration> {
    const builder = this.#builders.get(folder) ?? loadJavaScript(folder);
    this.#builders.set(folder, builder);
    return builder;
  }
}

const noJavaScript = (): never => {
  throw new TenantError({ message: 'a migration in JavaScript was not loaded', code: 'internal' });
};
