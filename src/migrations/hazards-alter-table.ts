import { type HazardMark, mark, markExclusive } from './hazard-mark.ts';
import { judgeNewColumn } from './hazards-new-column.ts';
import {
  asNode,
  asNodes,
  asText,
  displayName,
  type ParseNode,
  type RelationName,
  relationOf,
  unwrap,
} from './parse-tree.ts';

/** Commands of ALTER TABLE that let others read, and mostly write, meanwhile (PostgreSQL's AlterTableGetLockLevel). */
const weakerLocks = new Set([
  'AT_SetStatistics',
  'AT_SetOptions',
  'AT_ResetOptions',
  'AT_SetRelOptions',
  'AT_ResetRelOptions',
  'AT_ClusterOn',
  'AT_DropCluster',
  'AT_ValidateConstraint',
  'AT_AttachPartition',
  'AT_DetachPartitionFinalize',
  'AT_EnableTrig',
  'AT_EnableAlwaysTrig',
  'AT_EnableReplicaTrig',
  'AT_EnableTrigAll',
  'AT_EnableTrigUser',
  'AT_DisableTrig',
  'AT_DisableTrigAll',
  'AT_DisableTrigUser',
]);

const rewriting: Readonly<Record<string, string>> = {
  AT_AlterColumnType: 'another type may write every row and every index of it anew; only a few changes do not',
  AT_SetExpression: 'another expression of a stored column writes every row anew',
  AT_SetTableSpace: 'it is copied whole to the other tablespace',
  AT_SetLogged: 'it is written anew, all of it into the write-ahead log',
  AT_SetUnLogged: 'it is written anew, and lost in a crash from then on',
  AT_SetAccessMethod: 'it is written anew by the other access method',
};

/** Hazards of ALTER TABLE and of its kin (ALTER TYPE, ALTER INDEX, ALTER MATERIALIZED VIEW). */
export function judgeAlterTable(node: ParseNode): readonly HazardMark[] {
  const table = relationOf(node.relation);
  if (table === null) return [];
  const commands = asNodes(node.cmds).map((each) => unwrap(each, 'AlterTableCmd'));
  const marks = commands.flatMap((command) => judgeCommand(table, command));
  const hasRows = ['OBJECT_TABLE', 'OBJECT_MATVIEW', 'OBJECT_FOREIGN_TABLE'].includes(String(node.objtype));
  const shutsOut = hasRows && commands.some((command) => !isWeak(command));
  return shutsOut ? [...marks, markExclusive(table)] : marks;
}

function isWeak({ subtype, def }: ParseNode): boolean {
  if (subtype === 'AT_DetachPartition') return unwrap(def, 'PartitionCmd').concurrent === true;
  if (subtype === 'AT_AddConstraint') return unwrap(def, 'Constraint').contype === 'CONSTR_FOREIGN';
  return weakerLocks.has(String(subtype));
}

/** The tables that an ALTER TABLE, once run, keeps from being written until the transaction ends. */
export function lockedBy(node: ParseNode): readonly RelationName[] {
  const table = relationOf(node.relation);
  const commands = asNodes(node.cmds).map((each) => unwrap(each, 'AlterTableCmd'));
  const blocksWrites = commands.some((command) => !isWeak(command) || command.subtype === 'AT_AddConstraint');
  return table !== null && blocksWrites ? [table] : [];
}

function judgeCommand(table: RelationName, command: ParseNode): readonly HazardMark[] {
  const column = asText(command.name) ?? undefined;
  const rewrite = rewriting[String(command.subtype)];
  if (rewrite !== undefined) {
    const isColumn = command.subtype === 'AT_AlterColumnType' || command.subtype === 'AT_SetExpression';
    return [mark('table-rewrite', table, rewrite, isColumn && column !== undefined ? { column } : {})];
  }
  switch (command.subtype) {
    case 'AT_AddColumn':
      return judgeNewColumn(table, unwrap(command.def, 'ColumnDef'));
    case 'AT_DropColumn':
      return [
        mark(
          'drop-column',
          table,
          'its data are gone, and what still reads it fails',
          column === undefined ? {} : { column },
        ),
      ];
    case 'AT_SetNotNull':
      return [judgeNotNull(table, column)];
    case 'AT_AddConstraint':
      return judgeConstraint(table, unwrap(command.def, 'Constraint'));
    case 'AT_ValidateConstraint':
      return [judgeValidation(table)];
    case 'AT_AttachPartition':
      return judgeAttach(command);
    default:
      return [];
  }
}

function judgeNotNull(table: RelationName, column: string | undefined): HazardMark {
  return mark('constraint-validates', table, 'all rows are read while nobody reads or writes it', {
    ...(column === undefined ? {} : { column }),
    hint:
      'first ADD CONSTRAINT … CHECK (… IS NOT NULL) NOT VALID, then VALIDATE CONSTRAINT in a file of its own ' +
      '(`-- tenantctl:no-transaction`): SET NOT NULL after that reads nothing',
  });
}

/** The good way, unless the lock of the statement that added the constraint is still held. */
function judgeValidation(table: RelationName): HazardMark {
  return mark('constraint-validates', table, 'all rows are read while the lock of an earlier statement is still held', {
    when: 'locked',
    hint: 'put VALIDATE CONSTRAINT into a file of its own, marked `-- tenantctl:no-transaction`',
  });
}

function judgeConstraint(table: RelationName, constraint: ParseNode): readonly HazardMark[] {
  const { contype, skip_validation: isNotValid, indexname, is_enforced: isEnforced } = constraint;
  const name = asText(constraint.conname);
  const what = name === null ? 'the new constraint' : `constraint ${displayName({ schema: null, name })}`;
  switch (contype) {
    case 'CONSTR_CHECK':
    case 'CONSTR_NOTNULL':
    case 'CONSTR_FOREIGN':
      if (isNotValid === true || (isEnforced === undefined && contype !== 'CONSTR_NOTNULL')) return [];
      return [
        mark(
          'constraint-validates',
          table,
          `all rows are read for ${what} while nobody ${contype === 'CONSTR_FOREIGN' ? 'writes it or the other table' : 'reads or writes it'}`,
        ),
      ];
    case 'CONSTR_PRIMARY':
    case 'CONSTR_UNIQUE':
      if (typeof indexname === 'string') return [];
      return [
        mark('constraint-validates', table, `the index of ${what} is built while nobody reads or writes it`, {
          hint: 'CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT … USING INDEX',
        }),
      ];
    case 'CONSTR_EXCLUSION':
      return [
        mark('constraint-validates', table, `the index of ${what} is built while nobody reads or writes it`, {
          hint: 'there is no gentle way: run it when there is little traffic',
        }),
      ];
    default:
      return [];
  }
}

function judgeAttach(command: ParseNode): readonly HazardMark[] {
  const partition = relationOf(asNode(unwrap(command.def, 'PartitionCmd').name));
  if (partition === null) return [];
  const hint = 'first give the partition a CHECK that says what its bounds say, and validate it';
  return [
    mark('constraint-validates', partition, 'all its rows are read while nobody reads or writes it', { hint }),
    markExclusive(partition, hint),
  ];
}
