import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { expect, test } from 'vitest';
import { archivedRows, dumpedOf, storedFiles } from '../../support/dumps.ts';
import { createFleet } from '../../support/fleet.ts';
import { jsonOf } from '../../support/run-cli.ts';

const run = promisify(execFile);
const hasAge = await run('age', ['--version']).then(
  () => true,
  () => false,
);
if (!hasAge) process.stderr.write('tests: the program age is not installed: nobody looks whether it opens backups\n');

const marker = 'a marker that nobody may read';

async function makeFleet(recipient: string) {
  const fleet = await createFleet({ schemas: 2, inventory: { backups: { to: './backups', encryptTo: [recipient] } } });
  for (const schema of ['tenant_t01', 'tenant_t02']) {
    await fleet.db.query(
      `create table ${schema}.things (note text); insert into ${schema}.things values ('${marker}')`,
    );
  }
  await fleet.db.query(
    `create schema common; create table common.notes (note text); insert into common.notes values ('${marker}')`,
  );
  await fleet.writeInventory({
    backups: { to: './backups', encryptTo: [recipient] },
    searchPath: ['{schema}', 'common'],
  });
  return fleet;
}

test('nothing of a backup but its manifest stands in the store in plain', async () => {
  const recipient = await identityToRecipient(await generateX25519Identity());
  const fleet = await makeFleet(recipient);
  const report = await fleet.json('dump --all --compress 0');
  expect([report.exitCode, report.summary]).toEqual([0, 't01 done, t02 done']);
  expect(dumpedOf(report, 't01').archive).toMatch(/^t01\/.*\.dump\.age$/);
  const files = await storedFiles(fleet);
  // Two tenants, what they share, and the roles.
  expect(files.filter((file) => file.endsWith('.age'))).toHaveLength(4);
  expect(files.filter((file) => !file.endsWith('.age') && !file.endsWith('.json'))).toEqual([]);
  for (const file of files) {
    const text = (await readFile(join(fleet.folder, 'backups', file))).toString('latin1');
    expect([file, text.includes(marker), text.includes('CREATE ROLE')]).toEqual([file, false, false]);
  }
  const list = jsonOf<{ backups: readonly { state: string; manifest: { encryption: unknown } }[] }>(
    await fleet.run('backups list --all --json'),
  );
  for (const { state, manifest } of list.backups) {
    expect([state, manifest.encryption]).toEqual(['complete', { method: 'age', recipients: [recipient] }]);
  }
});

test.skipIf(!hasAge)('the age program opens it, and pg_restore takes what comes out', async () => {
  const key = await generateX25519Identity();
  const fleet = await makeFleet(await identityToRecipient(key));
  const at = (name: string) => join(fleet.folder, name);
  const { writeFile } = await import('node:fs/promises');
  await writeFile(at('key.txt'), `${key}\n`);
  const report = await fleet.json('dump --all');
  const archive = join('backups', dumpedOf(report, 't02').archive);
  await run('age', ['-d', '-i', at('key.txt'), '-o', at('t02.dump'), at(archive)]);
  expect(await archivedRows(at('t02.dump'), 'things')).toEqual([marker]);
});
