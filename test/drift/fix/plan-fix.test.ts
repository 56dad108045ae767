import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { compareFacts } from '../../../src/drift/compare.ts';
import { describeDifference } from '../../../src/drift/describe-difference.ts';
import type { FactSet, OwnNames } from '../../../src/drift/fact.ts';
import { fillIn } from '../../../src/drift/fix/fill-in.ts';
import { type FixPlan, planFix, scriptOf } from '../../../src/drift/fix/plan-fix.ts';
import { mapSchemas } from '../../../src/drift/hash-schemas.ts';
import { printingPath } from '../../../src/drift/own-names.ts';
import { readFacts } from '../../../src/drift/read-facts.ts';
import { asSuperuser, createTestDatabase } from '../../support/database.ts';
import { runTool } from '../../support/dumps.ts';
import { connectSession } from '../../support/sessions.ts';
import { baseFor, roles } from './base-schema.ts';
import { plants } from './plants.ts';

const db = await createTestDatabase();
const names = ['fix_ref', 'fix_odd'] as const;
const [reference, odd] = names.map((schema): OwnNames => ({ schema, id: schema.slice(4), role: null })) as [
  OwnNames,
  OwnNames,
];

async function makeSchemas(): Promise<void> {
  await asSuperuser(async (admin) => {
    for (const role of roles) {
      const { rowCount } = await admin.query('select from pg_roles where rolname = $1', [role]);
      if (rowCount === 0) await admin.query(`create role ${role}`);
    }
  });
  for (const schema of names) {
    await db.query(`create schema ${schema}; set search_path = ${schema}, public; ${baseFor(schema)}`);
  }
}

await makeSchemas();
// One session for all: it knows the catalogue after the first plant.
const session = await connectSession(db.name);
afterAll(() => session.end());
const expected = await factsOf(reference);

async function factsOf(own: OwnNames): Promise<FactSet> {
  const mapped = (await mapSchemas(session, [own.schema])).get(own.schema);
  if (mapped === undefined) throw new Error(`no schema ${own.schema}`);
  return readFacts(session, mapped, own);
}

async function planNow(allowDrop = true): Promise<FixPlan> {
  const actual = await factsOf(odd);
  return planFix({ reference: expected, actual, accepted: [], allowDrop });
}

async function runPlan(plan: FixPlan): Promise<void> {
  await session.raw(`set local search_path = ${printingPath(odd.schema)}; set local check_function_bodies = off`);
  for (const each of plan.statements) {
    await session.raw(fillIn(each, odd)).catch((error: Error) => {
      throw new Error(`${error.message} in: ${each.text}\nof:\n${scriptOf(plan)}`);
    });
  }
}

/** Each plant by itself takes its time: they come in rounds, and alone only when that is asked for. */
const roundCount = process.env.TENANTCTL_SOAK === undefined ? 12 : Object.keys(plants).length;
const rounds = [...Map.groupBy(Object.entries(plants).entries(), ([index]) => index % roundCount).values()].map(
  (members): [string, readonly string[]] => [
    members.map(([, [name]]) => name).join(', '),
    members.map(([, [, text]]) => text),
  ],
);

/** Plants what can be planted beside the others, and says which. */
async function plantAll(texts: readonly string[]): Promise<readonly string[]> {
  const planted: string[] = [];
  for (const text of texts) {
    await session.raw('savepoint one');
    const isDone = await plant(text).then(
      () => true,
      () => false,
    );
    if (isDone) planted.push(text);
    else await session.raw('rollback to savepoint one');
  }
  return planted;
}

async function plant(text: string): Promise<void> {
  await session.raw(`set local search_path = ${odd.schema}, public`);
  await session.raw(text.replaceAll(':schema', odd.schema));
}

/** Lines in an order of their own: a column that was made again stands at the end of its table. */
async function sortedDump(schema: string): Promise<readonly string[]> {
  const dump = await runTool('pg_dump', ['--schema-only', '-n', schema, '-d', db.url]);
  return dump
    .replaceAll(schema, 'tenant')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('--') && !line.startsWith('\\'))
    .map((line) => line.replace(/,$/, ''))
    .toSorted();
}

describe('a fix', () => {
  afterEach(async () => {
    if (!session.isIdle) await session.raw('rollback');
  });

  it('finds nothing to do where nothing differs', async () => {
    expect(await planNow()).toEqual({ statements: [], unsupported: [], differences: [], kept: [] });
  });

  it.each(rounds)('takes away: %s', async (_, texts) => {
    for (let waiting = texts; waiting.length > 0; ) {
      await session.raw('begin');
      const planted = await plantAll(waiting);
      expect(planted).not.toEqual([]);
      const plan = await planNow();
      expect(plan.unsupported.filter(({ difference }) => difference.kind !== 'column order')).toEqual([]);
      expect(plan.statements).not.toEqual([]);
      await runPlan(plan);
      const left = compareFacts(expected, await factsOf(odd)).filter(({ kind }) => kind !== 'column order');
      expect(left.map(describeDifference), scriptOf(plan)).toEqual([]);
      await session.raw('commit');
      waiting = waiting.filter((text) => !planted.includes(text));
    }
  });

  it('leaves what pg_dump cannot tell from the reference', async () => {
    expect(await sortedDump(odd.schema)).toEqual(await sortedDump(reference.schema));
  });
});
