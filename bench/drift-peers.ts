import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Bench, clientProgram, note, seconds, type Timing, tenantctl, time } from './support.ts';

/** Looks at each schema twice, as a comparison of two tenants does; gives up after some minutes. */
const migraScript = `import { Migration } from '@pgkit/migra';
const [url, ...schemas] = process.argv.slice(2);
setTimeout(() => process.exit(3), 300_000).unref();
for (const schema of schemas.slice(1)) {
  const migration = await Migration.create(url, url, { schema: schema });
  migration.set_safety(false);
  migration.add_all_changes(true);
}
// It leaves its connections open.
process.exit(0);
`;

/** What others do for the same answer, on a few schemas of the whole database. */
export async function measurePeers(bench: Bench, count: number): Promise<void> {
  const schemas = Array.from({ length: count }, (_, index) => `t_${index + 1}`);
  const folder = path.join(bench.folder, 'drift-saas');
  const ids = schemas.map((schema) => schema.slice(2));
  // For a majority the whole database would be read.
  const ours = await time([...tenantctl, 'drift', '--against', `tenant:${ids[0]}`, '-t', ...ids], { cwd: folder });
  note(`${count} schemas: tenantctl ${seconds(ours.ms)}`);
  note(
    `the same by pg_dump --schema-only -n, one schema after the other: ${compare(await loopDumps(bench, schemas), ours)}`,
  );
  const migra = await runMigra(bench, schemas);
  note(
    `the same by @pgkit/migra: ${migra === null ? 'left out, it could not be installed, or did not end within 5 minutes' : compare(migra, ours)}`,
  );
}

function compare(peer: Timing, ours: Timing): string {
  return `${seconds(peer.ms)}, ${(peer.ms / ours.ms).toFixed(0)} x as long`;
}

async function loopDumps(bench: Bench, schemas: readonly string[]): Promise<Timing> {
  let ms = 0;
  for (const schema of schemas) {
    const words = ['--schema-only', '-n', schema, '-f', path.join(bench.folder, 'peer.sql'), bench.cluster.url('saas')];
    ms += (await time([clientProgram(bench, 'pg_dump'), ...words])).ms;
  }
  return { ms, peakBytes: 0 };
}

/** It is no dependency: it is brought for this bench alone, if the registry answers. */
async function runMigra(bench: Bench, schemas: readonly string[]): Promise<Timing | null> {
  const folder = path.join(bench.folder, 'migra');
  await mkdir(folder);
  await writeFile(path.join(folder, 'package.json'), '{"type":"module","private":true}');
  const words = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '@pgkit/migra'];
  const installed = spawnSync('npm', words, { cwd: folder, stdio: 'ignore', timeout: 120_000 });
  if (installed.status !== 0) return null;
  await writeFile(path.join(folder, 'loop.js'), migraScript);
  try {
    return await time([process.execPath, path.join(folder, 'loop.js'), bench.cluster.url('saas'), ...schemas]);
  } catch {
    return null;
  }
}
