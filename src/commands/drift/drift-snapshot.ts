import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Context } from '../../context.ts';
import type { FactSet } from '../../drift/fact.ts';
import { formatSnapshot } from '../../drift/snapshot-text.ts';
import { TenantError, UsageError } from '../../errors.ts';
import type { Tenant } from '../../fleet/tenant.ts';
import type { Result } from '../../output/result.ts';
import { plural } from '../../words.ts';
import { type Command, type Flag, textView } from '../command.ts';
import { selectionFlags } from '../flags.ts';
import { type FleetOptions, readFleetOptions } from '../fleet-options.ts';
import { type Fleet, withFleet } from '../open-fleet.ts';
import { readSwitch, readText } from '../read-options.ts';
import { leftAlone } from '../rejected.ts';
import { buildFacts } from './build-facts.ts';
import { migrationsOf } from './reference-migrations.ts';
import { readTenantFacts } from './scan-fleet.ts';

interface SnapshotOptions extends FleetOptions {
  /** As it was typed; null: standard output. */
  readonly out: string | null;
  readonly fromMigrations: boolean;
}

const snapshotFlags: readonly Flag[] = [
  {
    flags: '--out <file>',
    description: 'write the snapshot there (default: print it)',
    fromEnvironment: false,
  },
  {
    flags: '--from-migrations',
    description: 'not of the tenant, but of what the migrations folder builds for it',
    fromEnvironment: false,
  },
];

/** `tenantctl drift snapshot`: what a tenant consists of, as a text to review and to compare with. */
export const driftSnapshot: Command<SnapshotOptions, never> = {
  name: 'drift snapshot',
  summary: 'write down what a tenant consists of, as a file to review and to compare with',
  examples: [
    ['tenantctl drift snapshot -t acme --out schema.facts', 'for git; compare with drift --against file:schema.facts'],
    [
      'tenantctl drift snapshot -t acme --from-migrations --out schema.facts',
      'what all migrations build, in its place',
    ],
    ['tenantctl drift snapshot -t acme | diff schema.facts -', 'what changed since'],
  ],
  flags: [...selectionFlags, ...snapshotFlags],
  view: textView,
  options: (raw) => ({
    ...readFleetOptions(raw),
    out: readText(raw, 'out'),
    fromMigrations: readSwitch(raw, 'fromMigrations'),
  }),
  run: (context, options) => withFleet(context, { ...options, mode: 'read' }, (fleet) => run(context, fleet, options)),
};

async function run(context: Context, fleet: Fleet, options: SnapshotOptions): Promise<Result<never>> {
  const tenant = onlyTenant(fleet);
  const facts = options.fromMigrations
    ? await readBuilt(context, fleet, tenant)
    : await readTenantFacts(context, fleet, tenant);
  const text = formatSnapshot(facts);
  const { major, unmodelled } = facts;
  const about = {
    tenant: tenant.id,
    fromMigrations: options.fromMigrations,
    postgresql: major,
    facts: facts.facts.size,
    unmodelled,
  };
  const answer = { outcomes: [], environment: fleet.inventory.environment };
  if (options.out === null) {
    return { ...answer, text: text.trimEnd().split('\n'), extra: { ...about, file: null, snapshot: text } };
  }
  const file = path.resolve(context.cwd, options.out);
  await writeSnapshot(file, options.out, text);
  const what = options.fromMigrations ? 'what the migrations build' : tenant.id;
  const lines = [
    `${options.out}: ${plural(facts.facts.size, 'fact')} of ${what}, PostgreSQL ${major}`,
    ...unmodelled.map(({ kind, count }) => `not looked at: ${count} ${kind}`),
  ];
  return { ...answer, text: lines, extra: { ...about, file } };
}

function onlyTenant({ tenants, rejected, selected, sources }: Fleet): Tenant {
  const [tenant] = tenants;
  const [refused] = rejected;
  if (selected.length > 1) {
    throw new UsageError(`a snapshot is of one tenant, and ${selected.length} are selected`, {
      hint: 'name one: -t <tenant>',
    });
  }
  if (refused?.status === 'failed') throw new TenantError(refused.error);
  if (refused?.status === 'skipped') throw leftAlone(refused);
  if (tenant !== undefined) return tenant;
  const unread = sources.find(({ error }) => error !== undefined);
  throw unread === undefined ? new UsageError('no tenant is selected') : new TenantError(unread.error);
}

async function readBuilt(context: Context, fleet: Fleet, tenant: Tenant): Promise<FactSet> {
  const folder = migrationsOf(context, fleet);
  const { migrations } = folder;
  const built = (await buildFacts(context, fleet, folder, tenant, [migrations])).get(migrations);
  if (built === undefined) throw new Error('nothing was built');
  if (!('why' in built)) return built;
  throw new TenantError({ message: built.why, ...(built.hint === undefined ? {} : { hint: built.hint }) });
}

/** Beside its place first, then renamed: whoever reads it meanwhile reads the old one. */
async function writeSnapshot(target: string, typed: string, text: string): Promise<void> {
  const partial = `${target}.${randomBytes(4).toString('hex')}.partial`;
  try {
    const file = await open(partial, 'wx');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, target);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => {});
    throw new UsageError(`${typed} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, {
      hint: 'is the folder there, and may you write to it?',
      cause,
    });
  }
}
