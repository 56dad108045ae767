import type { Difference } from '../compare.ts';
import { type Fact, type FactSet, factKey } from '../fact.ts';
import type { FixPhase, FixStatement } from './statement.ts';
import { statement } from './statement.ts';

/** A difference that stays as it is, and why. */
export interface Unsupported {
  readonly difference: Difference;
  readonly why: string;
  /** It would be fixed, but data would be lost: the operator has to say so. */
  readonly needsDrop: boolean;
}

export interface FixInput {
  /** What the tenant is to have. */
  readonly reference: FactSet;
  readonly actual: FactSet;
  /** What is to be done away with. */
  readonly differences: readonly Difference[];
  /** May what holds data be dropped? */
  readonly allowDrop: boolean;
}

/** Where the kinds put their statements, and what they ask about other objects. */
export class FixScope {
  readonly reference: FactSet;
  readonly actual: FactSet;
  readonly allowDrop: boolean;
  readonly statements: FixStatement[] = [];
  /** Keys of objects that both have and that can only be dropped and made anew. */
  readonly remade: ReadonlySet<string>;
  readonly unsupported: Unsupported[] = [];
  readonly #changes: ReadonlyMap<string, Difference>;
  readonly #byTable: { readonly reference: FactsByTable; readonly actual: FactsByTable };

  constructor({ reference, actual, differences, allowDrop }: FixInput, remade: ReadonlySet<string>) {
    this.remade = remade;
    this.reference = reference;
    this.actual = actual;
    this.allowDrop = allowDrop;
    this.#changes = new Map(differences.map((each) => [factKey(each.kind, each.name), each]));
    this.#byTable = { reference: groupByTable(reference), actual: groupByTable(actual) };
  }

  add(phase: FixPhase, text: string, more: Partial<Omit<FixStatement, 'phase' | 'text'>> = {}): void {
    this.statements.push(statement(phase, text, more));
  }

  refuse(difference: Difference, why: string, needsDrop = false): void {
    this.unsupported.push({ difference, why, needsDrop });
  }

  find(side: 'reference' | 'actual', kind: string, name: string): Fact | null {
    return this[side].facts.get(factKey(kind, name)) ?? null;
  }

  /** Facts that belong to a relation, of one kind. */
  factsOf(side: 'reference' | 'actual', kind: string, table: string): readonly Fact[] {
    return (this.#byTable[side].get(table) ?? []).filter((fact) => fact.kind === kind);
  }

  /** Is the object made, or made anew, by this fix? */
  isMissing(kind: string, name: string): boolean {
    const key = factKey(kind, name);
    return this.#changes.get(key)?.change === 'missing' || this.remade.has(key);
  }

  /** Is it taken away, for good or for another in its place? */
  isDropped(kind: string, name: string): boolean {
    return this.isExtra(kind, name) || this.remade.has(factKey(kind, name));
  }

  /** An identity's sequence goes by its column. */
  isIdentityDropped(column: string): boolean {
    if (this.isDropped('column', column)) return true;
    const has = (side: 'reference' | 'actual') => this.find(side, 'sequence name', column) !== null;
    return has('actual') && !has('reference');
  }

  isExtra(kind: string, name: string): boolean {
    return this.#changes.get(factKey(kind, name))?.change === 'extra';
  }

  /** In what it differs, of an object that both have. */
  changeOf(kind: string, name: string): Difference | null {
    const found = this.#changes.get(factKey(kind, name));
    return found?.change === 'changed' ? found : null;
  }
}

type FactsByTable = ReadonlyMap<string | null, readonly Fact[]>;

function groupByTable({ facts }: FactSet): FactsByTable {
  return Map.groupBy(facts.values(), ({ table }) => table);
}
