import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ensureClientTools, type PostgresInstallation } from '../../../src/postgres/local/binaries.ts';
import { clientToolsHint, fetchClientTools } from '../../../src/postgres/local/client-tools.ts';
import { writeProgram } from '../../support/fake-programs.ts';
import { openFolder } from '../../support/folders.ts';

/** A Debian whose package sources have one major of PostgreSQL; unpacked programs need their libraries' folder. */
async function makeDebian(major: number) {
  const folder = await openFolder();
  const bin = join(folder, 'bin');
  const cacheFolder = join(folder, 'cache');
  await writeProgram(cacheFolder, '.keep', '');
  await writeProgram(
    bin,
    'apt-get',
    `[ "$1" = download ] && [ "$3" = postgresql-client-${major} ] || exit 100
     echo one >>"${folder}/downloads"; : >client.deb; : >libpq5.deb`,
  );
  await writeProgram(
    bin,
    'dpkg',
    `root="$3/usr/lib"; mkdir -p "$root/x86_64-linux-gnu" "$root/postgresql/${major}/bin"
     for name in pg_dump pg_restore; do
       printf '#!/bin/sh\\n[ -d "$LD_LIBRARY_PATH" ] && echo "%s (PostgreSQL) ${major}.2"\\n' $name >"$root/postgresql/${major}/bin/$name"
       chmod 755 "$root/postgresql/${major}/bin/$name"
     done`,
  );
  return { bin, cacheFolder, findCacheFolder: async () => cacheFolder, env: { PATH: `${bin}:/usr/bin:/bin` } };
}

test('are unpacked into the cache, once, and it is said', async () => {
  const { cacheFolder, findCacheFolder, env } = await makeDebian(16);
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  const tools = await fetchClientTools(15, { env, findCacheFolder, say });
  const home = join(cacheFolder, 'postgresql-client-16', 'usr', 'lib');
  expect(tools).toEqual({
    binDir: join(home, 'postgresql', '16', 'bin'),
    version: '16.2',
    major: 16,
    env: { LD_LIBRARY_PATH: join(home, 'x86_64-linux-gnu') },
  });
  expect(said).toEqual([expect.stringContaining('fetched postgresql-client-16')]);
  expect(await fetchClientTools(15, { env, findCacheFolder, say })).toEqual(tools);
  expect(said).toHaveLength(1);
  expect((await readdir(cacheFolder)).filter((name) => name !== '.keep')).toEqual(['postgresql-client-16']);
});

test('that are too old or do not run are not kept', async () => {
  const old = await makeDebian(14);
  expect(await fetchClientTools(15, { ...old, say: () => undefined })).toBeNull();
  const broken = await makeDebian(15);
  await writeProgram(broken.bin, 'dpkg', 'mkdir -p "$3/usr/lib/x86_64-linux-gnu"');
  expect(await fetchClientTools(15, { ...broken, say: () => undefined })).toBeNull();
  expect(await readdir(broken.cacheFolder)).toEqual(['.keep']);
});

test('on a machine without apt-get, the package to install is named', async () => {
  const said: string[] = [];
  const root = await openFolder();
  const server: PostgresInstallation = { source: 'toolchain', binDir: '/x', version: '15.18', major: 15, client: null };
  const say = (text: string) => void said.push(text);
  expect(await ensureClientTools(server, { env: { PATH: root }, root, say })).toEqual(server);
  expect(said).toEqual([expect.stringContaining(clientToolsHint(15))]);
  expect(said[0]).toContain('postgresql-client-15');
});
