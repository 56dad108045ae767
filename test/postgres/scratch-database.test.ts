import { randomBytes } from 'node:crypto';
import { expect, it, onTestFinished } from 'vitest';
import { createDatabaseLike, readTraits } from '../../src/postgres/scratch-database.ts';
import { asSuperuser, dropDatabase } from '../support/database.ts';
import { connectSession, openSession } from '../support/sessions.ts';

/** A database made by these words, a session in it and the name of another one, which is free; dropped with the test. */
async function makeModel(options: string) {
  const [model, copy] = ['model', 'copy'].map((word) => `${word}_${randomBytes(4).toString('hex')}`) as [
    string,
    string,
  ];
  onTestFinished(async () => void (await Promise.all([model, copy].map(dropDatabase))));
  await asSuperuser((admin) => admin.query(`create database ${model} template template0 ${options}`));
  return { model, copy };
}

it('makes a database with the encoding, the locale and the settings of another, and says what it is for', async () => {
  const { model, copy } = await makeModel("encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'");
  await asSuperuser(async (admin) => {
    await admin.query(`alter database ${model} set timezone to 'Asia/Tokyo'`);
    await admin.query(`alter database ${model} set app.note to 'it''s, "x"'`);
    await admin.query(`alter database ${model} set search_path to nowhere`);
    await admin.query(`alter database ${model} set default_transaction_read_only to on`);
  });
  const session = await connectSession(model);
  await session.raw('SET default_transaction_read_only TO off');
  const traits = await readTraits(session);
  expect(await createDatabaseLike(session, copy, { comment: "it's empty" })).toEqual([]);
  await session.end();
  const made = await openSession(copy);
  expect(await readTraits(made)).toEqual(traits);
  const { rows } =
    await made.raw(`select current_setting('server_encoding') as encoding, current_setting('timezone') as zone,
    current_setting('app.note') as note, current_setting('default_transaction_read_only') as closed,
    shobj_description(oid, 'pg_database') as comment, datcollate from pg_database where datname = current_database()`);
  expect(rows).toEqual([
    {
      ...{ encoding: 'LATIN1', zone: 'Asia/Tokyo', note: `it's, "x"`, closed: 'off' },
      ...{ comment: "it's empty", datcollate: 'C' },
    },
  ]);
  await made.end();
});

it('says which settings the login role may not make, and not what they are', async () => {
  const role = `maker_${randomBytes(4).toString('hex')}`;
  // What is registered first is done last: it owns the copy.
  onTestFinished(() => asSuperuser(async (admin) => void (await admin.query(`drop role ${role}`))));
  const { model, copy } = await makeModel('');
  await asSuperuser(async (admin) => {
    await admin.query(`create role ${role} createdb login`);
    await admin.query(`alter database ${model} set app.token to 'secret'`);
    await admin.query(`alter database ${model} set intervalstyle to iso_8601`);
  });
  const session = await connectSession(model, { user: role });
  const lacking = await createDatabaseLike(session, copy, { comment: '' });
  const traits = await readTraits(session);
  await session.end();
  expect(traits.settings.map(({ name }) => name)).toEqual(['IntervalStyle', 'app.token']);
  expect(lacking).toEqual(['the login role may not set app.token of a database']);
});
