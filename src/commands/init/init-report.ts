import type { Discovered } from '../../fleet/discovery.ts';
import type { LeftOut, ProposedEntry } from '../../fleet/inventory/propose-discovery.ts';
import { versionText } from '../../postgres/server-version.ts';
import { listNames, plural, shellQuote } from '../../words.ts';
import type { Look } from './init-look.ts';

/** What `init` found out and wrote. */
export interface Written {
  readonly look: Look;
  readonly serverId: string;
  /** `--config`, as it was typed. */
  readonly config: string | null;
  /** Null with --stdout. */
  readonly file: string | null;
  readonly text: string;
  readonly hasMigrations: boolean;
  readonly passwordEnv: string | null;
  readonly discovered: Discovered;
}

/** What was seen, what was written, what to do next. */
export function initLines(written: Written): readonly string[] {
  const { look, discovered, file, serverId } = written;
  const { entries, leftOut } = look.proposal;
  const server = `server ${serverId}`;
  return [
    `${look.address}: PostgreSQL ${versionText(look.versionNum)}, ${plural(look.databases.length, 'database')}`,
    ...entries.map(describeEntry),
    ...(entries.length === 0
      ? ['found no schemas or databases that are named alike: name them with --schemas or --databases']
      : []),
    ...leftOut.map(describeLeftOut),
    ...discovered.failed.slice(0, 5).map(({ tenant, failure }) => `not usable: ${tenant.id}: ${failure.message}`),
    ...(discovered.failed.length > 5 ? [`not usable: ${discovered.failed.length - 5} more`] : []),
    `${file === null ? 'the text has' : `wrote ${file}:`} ${plural(discovered.tenants.length, 'tenant')} on ${server}`,
    ...secretLines(written),
    ...nextLines(written),
  ];
}

export function initExtra(written: Written): Readonly<Record<string, unknown>> {
  const { look, discovered, file, serverId, passwordEnv, text } = written;
  return {
    file,
    ...(file === null ? { text } : {}),
    server: { id: serverId, url: look.url, versionNum: look.versionNum },
    passwordEnv,
    tenants: discovered.tenants.length,
    discover: look.proposal.entries.map(({ names, ...entry }) => ({ ...entry, found: names.length })),
    leftOut: look.proposal.leftOut,
    unusable: discovered.failed.map(({ tenant, failure }) => ({ tenant: tenant.id, message: failure.message })),
  };
}

function describeEntry(entry: ProposedEntry): string {
  const { kind, pattern, names } = entry;
  const count = plural(names.length, kind === 'schemas' ? 'schema' : 'database');
  const where = kind === 'schemas' ? ` in database ${entry.database}` : '';
  return `found ${count} ${pattern}${where}: ${listNames(names)}`;
}

function describeLeftOut({ database, schemas, reason }: LeftOut): string {
  if (schemas === null) return `left out database ${database}: ${reason}`;
  const noun = schemas.length === 1 ? 'schema' : 'schemas';
  return `left out ${noun} ${listNames(schemas, 5)} in database ${database}: ${reason}`;
}

function secretLines({ look, passwordEnv }: Written): readonly string[] {
  const others = look.removed.filter((keyword) => keyword !== 'password');
  return [
    ...(passwordEnv === null
      ? []
      : [`the password is not in it: it is read from the environment variable ${passwordEnv}`]),
    ...others.map((keyword) => `${keyword} is not in it: keep it in a service file (service=…)`),
  ];
}

function nextLines({ file, config, passwordEnv, hasMigrations }: Written): readonly string[] {
  if (file === null) return [];
  const flag = config === null ? '' : ` --config ${shellQuote(config)}`;
  return [
    '',
    'next:',
    ...(passwordEnv === null ? [] : [`  export ${passwordEnv}=…`]),
    `  tenantctl doctor${flag}`,
    `  tenantctl tenants list --all${flag}`,
    ...(hasMigrations ? [] : [`  tenantctl migrate create first${flag}`]),
    `  tenantctl migrate status --all${flag}`,
  ];
}
