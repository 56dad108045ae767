import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { clientToolsHint, findClientTools, readClientTools } from '../postgres/local/client-tools.ts';
import { chosenFolder } from '../postgres/local/require-client-tools.ts';
import { readVersion } from '../postgres/local/version.ts';
import { type Finding, findingsAbout, someOf } from './finding.ts';

const run = promisify(execFile);

type Env = Readonly<Record<string, string | undefined>>;

const about = findingsAbout('local');

/** Last days of Node.js majors; a major that is not here is newer than this table. */
const nodeEnds: Readonly<Record<number, string>> = {
  22: '2027-04-30',
  23: '2025-06-01',
  24: '2028-04-30',
  25: '2026-06-01',
  26: '2029-04-30',
};

/** Whether the Node.js that runs tenantctl still gets fixes. `node` is its program. */
export async function checkNode(node: string, env: Env, now: Date): Promise<Finding> {
  const { stdout } = await run(node, ['--version'], { env: { ...env }, timeout: 10_000 });
  const version = stdout.trim().replace(/^v/, '');
  const end = nodeEnds[Number.parseInt(version, 10)];
  if (end === undefined || now < new Date(end)) return about.ok('node', `Node.js ${version}`);
  return about.warning('node', `Node.js ${version} gets no fixes since ${end}`, 'upgrade to the newest LTS of Node.js');
}

/** Which PostgreSQL programs this machine has; whether they fit a server is that server's finding. */
export async function checkPrograms(env: Env, folders: readonly string[]): Promise<readonly Finding[]> {
  const tools = await Promise.all(folders.map((binDir) => readClientTools(binDir, { env })));
  // One program is often found twice, by a link.
  const byVersion = Map.groupBy(
    tools.filter((each) => each !== null),
    ({ version }) => version,
  );
  const dumps = [...byVersion].map(([version, [first]]) => `${version} (${first?.binDir})`);
  const psqls = await Promise.all(folders.map((binDir) => readVersion(join(binDir, 'psql'), { env })));
  const psql = psqls.find((each) => each !== null);
  return [
    dumps.length > 0 ? about.ok('pg-dump', `pg_dump and pg_restore ${someOf(dumps)}`) : noPrograms(env),
    psql == null
      ? about.info(
          'psql',
          'no psql: tenantctl needs none, people do',
          'install the client package of your servers’ major',
        )
      : about.ok('psql', `psql ${psql.text}`),
  ];
}

function noPrograms(env: Env): Finding {
  const chosen = chosenFolder(env);
  if (chosen !== null) {
    const message = `TENANTCTL_PG_BIN=${chosen} has no pg_dump and pg_restore that run`;
    return about.error('pg-dump', message, 'name a folder such as /usr/lib/postgresql/17/bin, or unset it');
  }
  return about.info(
    'pg-dump',
    'no pg_dump and pg_restore on PATH or in the usual folders: dumps and restores need them, migrations do not',
    'install the client package of your servers’ major: postgresql-client-<major> (Debian, Ubuntu)',
  );
}

/** Whether this machine can dump a server: pg_dump must be of its major or newer. */
export async function checkDumps(
  server: { readonly id: string; readonly major: number },
  env: Env,
  folders: readonly string[],
): Promise<Finding> {
  const { ok, warning } = findingsAbout(`server ${server.id}`);
  const tools = await findClientTools(server.major, { env, folders });
  if (tools !== null) return ok('dump-programs', `pg_dump ${tools.version} can dump it`);
  const where = chosenFolder(env) === null ? 'on this machine' : 'in TENANTCTL_PG_BIN';
  const message = `no pg_dump ${server.major} or newer ${where}: it cannot be dumped from here`;
  return warning('dump-programs', message, clientToolsHint(server.major));
}
