import { CreatedObjects } from './created-objects.ts';
import type { Migration } from './folder.ts';
import type { HazardMark } from './hazard-mark.ts';
import { type HazardName, saferWays } from './hazards.ts';
import type { Inspector } from './inspection.ts';
import { type Lane, lanesOf } from './lanes.ts';
import { displayName, type RelationName } from './parse-tree.ts';
import { foreignSchema, isOwnSchema, type TenantContext } from './schema-context.ts';
import { lineAndColumn } from './sql-file.ts';
import type { StatementFacts } from './statement-facts.ts';

/** A hazard with its place. */
export interface Hazard {
  readonly hazard: HazardName;
  /** For people: `users.tmp`. */
  readonly subject: string;
  readonly message: string;
  /** The safer way. */
  readonly hint: string;
  readonly line: number;
  readonly column: number;
  /** Whose rows count; null: no table's. */
  readonly relation: RelationName | null;
}

/** One migration of a plan, looked at with those before it in mind. */
export interface JudgedMigration {
  readonly migration: Migration;
  readonly lanes: ReadonlySet<Lane>;
  /** `access-exclusive` stands for every table that is locked so: whether it is a hazard depends on the table's size. */
  readonly hazards: readonly Hazard[];
  /** What could not be looked into. */
  readonly notes: readonly string[];
}

/** What a plan remembers from statement to statement. */
interface PlanState {
  readonly context: TenantContext;
  readonly created: CreatedObjects;
  /** Tables that the transaction, as it stands, keeps from being written. */
  locked: CreatedObjects;
}

/**
 * Lanes and hazards of the migrations that run one after the other on tenants. What the plan itself makes is no hazard:
 * nobody uses it yet.
 */
export function judgePlan(
  migrations: readonly Migration[],
  direction: 'up' | 'down',
  inspector: Inspector,
  context: TenantContext,
): readonly JudgedMigration[] {
  const isOwn = isOwnSchema(context);
  const forLanes = new CreatedObjects(isOwn);
  const state: PlanState = { context, created: new CreatedObjects(isOwn), locked: new CreatedObjects(isOwn) };
  return migrations.map((migration) => ({
    migration,
    lanes: lanesOf(migration, direction, inspector, context, forLanes),
    hazards: judgeMigration(migration, direction, inspector, state),
    notes: notesOn(migration, direction, inspector),
  }));
}

function judgeMigration(
  migration: Migration,
  direction: 'up' | 'down',
  inspector: Inspector,
  state: PlanState,
): readonly Hazard[] {
  const { facts } = inspector.inspect(migration, direction);
  const usesTransaction = migration.kind === 'js' || migration.sql.usesTransaction;
  const endTransaction = () => {
    state.locked = new CreatedObjects(isOwnSchema(state.context));
  };
  if (!usesTransaction) endTransaction();
  const remade = new Set(facts.flatMap(({ creations }) => creations.map(({ relation }) => displayName(relation))));
  const hazards = facts.flatMap((statement) => {
    const found = judgeFacts(statement, state, remade).map((each) => locate(each, migration, statement.offset));
    for (const creation of statement.creations) state.created.add(creation);
    for (const relation of statement.locks) state.locked.add({ relation });
    if (!usesTransaction) endTransaction();
    return found;
  });
  return withoutRepeats(usesTransaction ? hazards : [alone(migration), ...hazards]);
}

/** The same said of the same thing again and again is said once, where it comes first. */
function withoutRepeats(hazards: readonly Hazard[]): readonly Hazard[] {
  const first = new Map<string, Hazard>();
  for (const each of hazards) {
    const key = JSON.stringify([each.hazard, each.subject, each.message]);
    if (!first.has(key)) first.set(key, each);
  }
  return [...first.values()];
}

function judgeFacts(
  { hazards, touches }: StatementFacts,
  { context, created, locked }: PlanState,
  remade: ReadonlySet<string>,
): readonly HazardMark[] {
  const counting = hazards.filter(({ relation, columns = [], when }) => {
    if (relation === null) return true;
    if (created.has(relation) || created.hasColumns(relation, columns)) return false;
    if (when === 'locked') return locked.has(relation);
    return when !== 'not-made-anew' || !remade.has(displayName(relation));
  });
  const leaving = touches.flatMap((touch): readonly HazardMark[] => {
    const foreign = foreignSchema(touch, context, created);
    if (foreign === null) return [];
    const { name, use } = touch;
    const subject =
      name === null
        ? `schema ${displayName({ schema: null, name: foreign.schema ?? '' })}`
        : displayName({ ...touch, name });
    const verb = use === 'reads' ? 'is read' : 'is changed or locked';
    const message =
      foreign.schema === null
        ? `it ${verb}, and it is not in the tenant’s schema: the search path finds it in one that tenants share`
        : `it ${verb}, and it is not in the tenant’s schema`;
    return [{ hazard: 'leaves-schema', subject, relation: null, message }];
  });
  return [...counting, ...leaving];
}

function locate(found: HazardMark, migration: Migration, offset: number): Hazard {
  const { hazard, subject, message, relation, hint = saferWays[hazard] } = found;
  return { hazard, subject, message, hint, relation, ...lineAndColumn(migration.text, offset) };
}

/** Said of the file as a whole, where it says so itself. */
function alone(migration: Migration): Hazard {
  const offset = Math.max(0, migration.text.search(/^[ \t]*--[ \t]*tenantctl:no-transaction/m));
  const message =
    'what ran before it is committed, and each of its statements commits alone: a failure leaves the rest undone';
  const found: HazardMark = { hazard: 'no-transaction', subject: migration.name, relation: null, message };
  return locate(found, migration, offset);
}

function notesOn(migration: Migration, direction: 'up' | 'down', inspector: Inspector): readonly string[] {
  if (migration.kind === 'js') return ['not looked into: JavaScript'];
  const { statements, facts } = inspector.inspect(migration, direction);
  return [
    ...(statements === null ? ['not looked into: the parser does not understand it'] : []),
    ...(facts.some(({ isOpaque }) => isOpaque) ? ['not looked into: DO or CALL'] : []),
  ];
}

/** The relations whose sizes, and whose schemas, matter to the hazards and lanes of migrations. */
export function relationsToLookUp(
  migrations: readonly Migration[],
  direction: 'up' | 'down',
  inspector: Inspector,
): readonly RelationName[] {
  const found = new Map<string, RelationName>();
  const add = ({ schema, name }: RelationName) => found.set(JSON.stringify([schema, name]), { schema, name });
  for (const migration of migrations) {
    for (const { hazards, touches } of inspector.inspect(migration, direction).facts) {
      for (const { relation } of hazards) if (relation !== null) add(relation);
      for (const { schema, name, use } of touches)
        if (schema === null && name !== null && use === 'changes') add({ schema, name });
    }
  }
  return [...found.values()];
}
