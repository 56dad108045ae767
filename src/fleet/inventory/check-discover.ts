import { hasWildcard } from '../glob.ts';
import { type CheckScope, exactlyOne, serverMistakes } from './check-scope.ts';
import { templateMistakes } from './check-templates.ts';
import { labelMistakes } from './check-tenants.ts';
import { type Mistake, onValue, type Path } from './mistakes.ts';
import { identifierProblem, isReservedDatabase, printable, quoted } from './names.ts';
import { asText, asTexts, type Mapping, mappingsOf } from './raw.ts';
import { templateProblem } from './template.ts';
import { mustBeginWithSchema } from './tenants.ts';

/** The entries of `discover`: one kind each, patterns that are patterns, templates that can be filled in. */
export function checkDiscover(scope: CheckScope): readonly Mistake[] {
  return mappingsOf(scope.raw.discover).flatMap(([index, entry]) => {
    const path = ['discover', index];
    return [
      ...serverMistakes(entry, path, scope),
      ...exactlyOne(entry, ['schemas', 'databases', 'query'], path),
      ...databaseMistakes(entry, path),
      ...patternMistakes(entry.schemas, [...path, 'schemas']),
      ...patternMistakes(entry.databases, [...path, 'databases']),
      ...idMistakes(entry, path),
      ...templateMistakes(entry, path),
      ...searchPathMistakes(entry, path),
      ...labelMistakes(entry.labels, [...path, 'labels']),
    ];
  });
}

function databaseMistakes(entry: Mapping, path: Path): readonly Mistake[] {
  const at = [...path, 'database'];
  const database = asText(entry.database);
  const needsDatabase = entry.schemas !== undefined || entry.query !== undefined;
  if (entry.database === undefined) {
    return needsDatabase ? [onValue(at, 'missing: expected the database to look into')] : [];
  }
  if (!needsDatabase && entry.databases !== undefined) {
    return [onValue(at, 'does not go with databases, which looks at all databases of the server')];
  }
  if (database === null || database === '') return [];
  if (entry.schemas !== undefined && isReservedDatabase(database)) {
    return [onValue(at, `${quoted(database)} is tenantctl's own and never a tenant`)];
  }
  const problem = identifierProblem(database);
  return problem === null ? [] : [onValue(at, problem)];
}

function patternMistakes(value: unknown, path: Path): readonly Mistake[] {
  const pattern = asText(value);
  if (pattern === null || pattern === '') return [];
  if (!hasWildcard(pattern)) {
    return [onValue(path, `${quoted(pattern)} holds neither "*" nor "?": name a single tenant under tenants`)];
  }
  return printable(pattern) === pattern
    ? []
    : [onValue(path, `${quoted(pattern)} holds a character no tenant may have`)];
}

function idMistakes(entry: Mapping, path: Path): readonly Mistake[] {
  const id = asText(entry.id);
  if (id === null || id === '') return [];
  const known = ['match', 'server', 'database', ...(entry.databases === undefined ? ['schema'] : [])];
  const problem = templateProblem(id, known);
  return problem === null ? [] : [onValue([...path, 'id'], problem)];
}

function searchPathMistakes(entry: Mapping, path: Path): readonly Mistake[] {
  const [first] = asTexts(entry.searchPath) ?? [];
  if (first === undefined || first === '{schema}' || entry.databases !== undefined) return [];
  return [onValue([...path, 'searchPath'], mustBeginWithSchema)];
}
