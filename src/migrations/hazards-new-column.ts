import { type HazardMark, mark } from './hazard-mark.ts';
import { asNodes, asText, type ParseNode, type RelationName, unwrap, walk, wordsOf } from './parse-tree.ts';

/** Types that number the rows by a sequence. */
const serialTypes = new Set(['serial', 'serial2', 'serial4', 'serial8', 'smallserial', 'bigserial']);

/** Functions of PostgreSQL, and of its uuid extension, that give another answer each time. */
const volatileFunctions = new Set([
  'random',
  'random_normal',
  'gen_random_uuid',
  'uuidv4',
  'uuidv7',
  'uuid_generate_v1',
  'uuid_generate_v1mc',
  'uuid_generate_v4',
  'clock_timestamp',
  'timeofday',
  'nextval',
  'currval',
  'lastval',
]);

/** Functions that defaults are made of and that give one answer a statement; a test asks PostgreSQL whether they do. */
export const calmFunctions: ReadonlySet<string> = new Set([
  'now',
  'transaction_timestamp',
  'statement_timestamp',
  'date_trunc',
  'date_part',
  'age',
  'timezone',
  'to_timestamp',
  'to_date',
  'to_char',
  'make_date',
  'make_interval',
  'make_timestamptz',
  'current_setting',
  'current_database',
  'current_schema',
  'lower',
  'upper',
  'concat',
  'replace',
  'repeat',
  'left',
  'right',
  'md5',
  'sha256',
  'encode',
  'decode',
  'abs',
  'round',
  'floor',
  'ceil',
  'jsonb_build_object',
  'jsonb_build_array',
  'json_build_object',
  'json_build_array',
  'to_json',
  'to_jsonb',
  'to_tsvector',
  'array_fill',
]);

/** Hazards of ADD COLUMN: what writes every row, reads every row, or cannot be true of rows that are there. */
export function judgeNewColumn(table: RelationName, definition: ParseNode): readonly HazardMark[] {
  const column = asText(definition.colname) ?? '';
  const constraints = asNodes(definition.constraints).map((each) => unwrap(each, 'Constraint'));
  const find = (contype: string) => constraints.find((constraint) => constraint.contype === contype);
  const filling = fillsRows(definition, constraints);
  const rewrite = rewriteOf(
    definition,
    find('CONSTR_DEFAULT')?.raw_expr,
    find('CONSTR_GENERATED'),
    find('CONSTR_IDENTITY'),
  );
  return [
    ...(rewrite === null ? [] : [mark('table-rewrite', table, rewrite.message, { column, hint: rewrite.hint })]),
    ...validations(find, filling).map(({ message, hint }) =>
      mark('constraint-validates', table, message, { column, hint }),
    ),
  ];
}

function typeOf({ typeName }: ParseNode): string {
  return wordsOf({ TypeName: typeName }).at(-1) ?? '';
}

/** Do rows that are there get a value? */
function fillsRows(definition: ParseNode, constraints: readonly ParseNode[]): boolean {
  const fillers = ['CONSTR_DEFAULT', 'CONSTR_IDENTITY', 'CONSTR_GENERATED'];
  return serialTypes.has(typeOf(definition)) || constraints.some(({ contype }) => fillers.includes(String(contype)));
}

const inSteps = 'add the column alone, then SET DEFAULT, then fill the rows in batches';

function rewriteOf(
  definition: ParseNode,
  fallback: unknown,
  generated: ParseNode | undefined,
  identity: ParseNode | undefined,
): { readonly message: string; readonly hint: string } | null {
  if (serialTypes.has(typeOf(definition)) || identity !== undefined) {
    const hint =
      'add the column alone, with a sequence as its default for new rows, then number the old ones in batches';
    return { message: 'numbering the rows writes every one of them anew', hint };
  }
  if (generated !== undefined && generated.generated_kind !== 'v') {
    const hint = 'a column that a trigger keeps, filled in batches; or, from PostgreSQL 18 on, a virtual one';
    return { message: 'computing a stored column writes every row anew', hint };
  }
  const { certain, possible } = volatileCalls(fallback);
  if (certain !== null)
    return { message: `the default calls ${certain}(), so every row is written anew`, hint: inSteps };
  if (possible === null) return null;
  const message = `the default calls ${possible}(): every row is written anew unless that is STABLE or IMMUTABLE`;
  return { message, hint: inSteps };
}

function volatileCalls(expression: unknown): { readonly certain: string | null; readonly possible: string | null } {
  let certain: string | null = null;
  let possible: string | null = null;
  walk(expression, ({ funcname }) => {
    const words = wordsOf(funcname);
    const name = words.at(-1);
    if (name === undefined) return;
    const isBuiltIn = words.length === 1 || words[0] === 'pg_catalog';
    if (volatileFunctions.has(name)) certain ??= name;
    else if (!(isBuiltIn && calmFunctions.has(name))) possible ??= name;
  });
  return { certain, possible };
}

function validations(
  find: (contype: string) => ParseNode | undefined,
  fillsRows: boolean,
): readonly { readonly message: string; readonly hint: string }[] {
  const found: { message: string; hint: string }[] = [];
  const notValid = 'add the column alone, then the constraint NOT VALID, and VALIDATE CONSTRAINT in a later file';
  if (find('CONSTR_NOTNULL') !== undefined && !fillsRows) {
    found.push({
      message: 'NOT NULL without a default fails on every table that has rows',
      hint: 'give it a DEFAULT, or add it without NOT NULL and fill it first',
    });
  }
  if (find('CONSTR_CHECK') !== undefined) {
    found.push({ message: 'all rows are read for its CHECK while nobody reads or writes the table', hint: notValid });
  }
  // Without a default there is nothing in it yet, and PostgreSQL reads nothing.
  if (find('CONSTR_FOREIGN') !== undefined && fillsRows) {
    found.push({
      message: 'all rows are read for its foreign key while nobody reads or writes the table',
      hint: notValid,
    });
  }
  if (find('CONSTR_UNIQUE') !== undefined || find('CONSTR_PRIMARY') !== undefined) {
    found.push({
      message: 'its index is built while nobody reads or writes the table',
      hint: 'add the column alone, CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX',
    });
  }
  return found;
}
