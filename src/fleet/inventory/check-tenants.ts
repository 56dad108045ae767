import { labelKeyProblem, labelValueProblem } from '../labels.ts';
import { placeKey } from '../tenant.ts';
import { type CheckScope, serverMistakes } from './check-scope.ts';
import { templateMistakes } from './check-templates.ts';
import { type Mistake, onKey, onValue, type Path } from './mistakes.ts';
import { lookAlikeKey, quoted, speltOut } from './names.ts';
import { asText, asTexts, entriesOf, type Mapping, mappingsOf } from './raw.ts';
import { describePlace, tenantPlaceKey, tenantProblems, toTenant } from './tenants.ts';

/** Where something was seen first, and what it was called there. */
interface Seen {
  readonly name: string;
  readonly path: Path;
}

/** What a list of thousands is compared with: each thing is looked up once. */
interface SeenSoFar {
  readonly ids: Map<string, Seen>;
  readonly places: Map<string, Seen>;
  readonly ownDatabases: Map<string, Seen>;
  readonly schemasIn: Map<string, Seen>;
}

/** The tenants and shared schemas that the file names: references, names, and two of them in one place. */
export function checkTenants(scope: CheckScope): readonly Mistake[] {
  const seen: SeenSoFar = { ids: new Map(), places: new Map(), ownDatabases: new Map(), schemasIn: new Map() };
  const shared = mappingsOf(scope.raw.shared).flatMap(([index, entry]) =>
    checkShared(entry, ['shared', index], seen, scope),
  );
  const tenants = mappingsOf(scope.raw.tenants).flatMap(([index, entry]) =>
    checkTenant(entry, ['tenants', index], seen, scope),
  );
  return [...shared, ...tenants];
}

function checkShared(entry: Mapping, path: Path, seen: SeenSoFar, scope: CheckScope): readonly Mistake[] {
  const mistakes = [...serverMistakes(entry, path, scope)];
  const [server, database, schema] = [asText(entry.server), asText(entry.database), asText(entry.schema)];
  if (server === null || database === null || schema === null) return mistakes;
  const place = { id: 'shared', server, database, schema, labels: {}, searchPath: [schema], role: null };
  for (const { field, message } of tenantProblems(place)) {
    if (field === 'database' || field === 'schema') mistakes.push(onValue([...path, field], message));
  }
  mistakes.push(...placeMistakes(place, { name: 'a shared schema', path }, seen, scope));
  return mistakes;
}

function checkTenant(entry: Mapping, path: Path, seen: SeenSoFar, scope: CheckScope): readonly Mistake[] {
  const own = templateMistakes(entry, path);
  const mistakes = [...serverMistakes(entry, path, scope), ...own, ...labelMistakes(entry.labels, [...path, 'labels'])];
  const [id, server, database] = [asText(entry.id), asText(entry.server), asText(entry.database)];
  if (id !== null) mistakes.push(...idMistakes(id, [...path, 'id'], seen, scope));
  if (id === null || server === null || database === null) return mistakes;
  if (entry.schema !== undefined && asText(entry.schema) === null) return mistakes;

  const templates = { searchPath: asTexts(entry.searchPath), role: asText(entry.role) };
  // A template of the file with a mistake has been reported where it stands.
  const file = { searchPath: asTexts(scope.raw.searchPath) ?? ['{schema}', 'public'], role: asText(scope.raw.role) };
  const tenant = toTenant(file, { id, server, database, schema: asText(entry.schema), labels: {}, ...templates });
  for (const { field, message } of tenantProblems(tenant)) {
    const isTemplate = field === 'searchPath' || field === 'role';
    if (isTemplate && own.length > 0) continue;
    if (!isTemplate || templates[field] !== null) mistakes.push(onValue([...path, field], message));
    else if (!isReportedAbove(field, scope)) mistakes.push(onValue(path, `${field} of the file: ${message}`));
  }
  mistakes.push(...placeMistakes(tenant, { name: `tenant ${quoted(id)}`, path }, seen, scope));
  return mistakes;
}

/** A mistake of the file's own template that does not come from this tenant's names. */
function isReportedAbove(field: 'searchPath' | 'role', scope: CheckScope): boolean {
  if (templateMistakes(scope.raw, []).some((mistake) => mistake.path[0] === field)) return true;
  return field === 'searchPath' && asTexts(scope.raw.searchPath)?.[0] !== '{schema}';
}

function idMistakes(id: string, path: Path, seen: SeenSoFar, scope: CheckScope): readonly Mistake[] {
  const key = lookAlikeKey(id);
  const first = seen.ids.get(key);
  if (first === undefined) {
    seen.ids.set(key, { name: id, path });
    return [];
  }
  const where = scope.at(first.path);
  if (first.name === id) return [onValue(path, `tenant id ${quoted(id)} is named twice: first at ${where}`)];
  return [onValue(path, `tenant id ${speltOut(id)} looks the same as ${speltOut(first.name)}, at ${where}`)];
}

type PlaceOf = { readonly server: string; readonly database: string; readonly schema: string | null };

/** Two in one place, or a tenant that would own a database in which others live. */
function placeMistakes(place: PlaceOf, here: Seen, seen: SeenSoFar, scope: CheckScope): readonly Mistake[] {
  const twin = firstAt(seen.places, tenantPlaceKey(place), here);
  if (twin !== null) {
    const message = `${here.name} is in the same place as ${twin.name} at ${scope.at(twin.path)}: ${describePlace(place)}`;
    return [onValue(here.path, message)];
  }
  const database = placeKey(place);
  const [mine, others] =
    place.schema === null ? [seen.ownDatabases, seen.schemasIn] : [seen.schemasIn, seen.ownDatabases];
  firstAt(mine, database, here);
  const other = others.get(database);
  // A shared schema in a tenant's own database is that tenant's affair: nobody else lives there.
  if (other === undefined || here.path[0] === 'shared' || other.path[0] === 'shared') return [];
  const [owner, guest] = place.schema === null ? [here, other] : [other, here];
  return [
    onValue(
      here.path,
      `${owner.name} has database ${quoted(place.database)} for its own, but ${guest.name} lives there too ` +
        `(see ${scope.at(other.path)}): give ${owner.name} a schema`,
    ),
  ];
}

/** What was seen under this key before; the first one stays. */
function firstAt(map: Map<string, Seen>, key: string, here: Seen): Seen | null {
  const first = map.get(key);
  if (first === undefined) map.set(key, here);
  return first ?? null;
}

/** Labels that no selector could name. */
export function labelMistakes(labels: unknown, path: Path): readonly Mistake[] {
  return entriesOf(labels).flatMap(([key, value]) => {
    const problem = labelKeyProblem(key);
    if (problem !== null) return [onKey([...path, key], problem)];
    const text = asText(value);
    const valueProblem = text === null ? null : labelValueProblem(text);
    return valueProblem === null ? [] : [onValue([...path, key], valueProblem)];
  });
}
