import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/postgres/local/cache-folder.ts';
import { openFolder } from '../support/folders.ts';

/** The program's door with a main of our own behind it. */
async function makeProgram(main: string, place: 'src/main.ts' | 'dist/main.js'): Promise<string> {
  const folder = await openFolder();
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  for (const name of ['bin', 'src', 'dist']) mkdirSync(join(folder, name));
  cpSync(join(packageRoot, 'bin', 'tenantctl.js'), join(folder, 'bin', 'tenantctl.js'));
  writeFileSync(join(folder, place), main);
  return join(folder, 'bin', 'tenantctl.js');
}

function run(file: string, ...nodeOptions: string[]) {
  return spawnSync(process.execPath, [...nodeOptions, file], { encoding: 'utf8' });
}

test.each(['src/main.ts', 'dist/main.js'] as const)('runs %s and takes its exit code', async (place) => {
  const file = await makeProgram('export const main = async () => 3;', place);
  expect(run(file)).toMatchObject({ status: 3, stdout: '', stderr: '' });
});

test.each([
  ['throws', 'export const main = async () => { throw new Error("oh"); };'],
  ['cannot be read', 'export const main = ;'],
  ['never answers', 'export const main = () => new Promise(() => undefined);'],
])('a main that %s is a bug, not a success', async (_, main) => {
  expect(run(await makeProgram(main, 'dist/main.js')).status).toBe(70);
});

test.each([
  ['20.19.0', 'src/main.ts', 'npx tenantctl'],
  ['22.17.1', 'dist/main.js', 'upgrade Node.js'],
] as const)('Node.js %s gets a sentence', async (version, place, hint) => {
  const file = await makeProgram('export const main = async () => 0;', place);
  const pretend = `Object.defineProperty(process, 'versions', { value: { node: '${version}' } })`;
  const { status, stderr } = run(file, '--import', `data:text/javascript,${pretend}`);
  expect(status).toBe(2);
  expect(stderr).toContain(`22.18 or newer is needed, this is ${version}`);
  expect(stderr).toContain(`hint: `);
  expect(stderr).toContain(hint);
});
