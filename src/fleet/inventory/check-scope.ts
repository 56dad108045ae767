import { closest } from '../did-you-mean.ts';
import { type Mistake, onValue, type Path } from './mistakes.ts';
import { quoted } from './names.ts';
import { asText, type Mapping } from './raw.ts';

/** What the checks of meaning may ask about the rest of the file. */
export interface CheckScope {
  readonly raw: Mapping;
  readonly servers: ReadonlySet<string>;
  /** `tenants.yaml:12:7`, so that a message can name the other side. */
  readonly at: (path: Path) => string;
}

/** Whether exactly one of the keys is there; says so in words otherwise. */
export function exactlyOne(entry: Mapping, keys: readonly string[], path: Path): readonly Mistake[] {
  const present = keys.filter((key) => entry[key] !== undefined);
  if (present.length === 1) return [];
  const got = present.length === 0 ? 'none of them' : present.join(' and ');
  return [onValue(path, `expected one of ${keys.join(', ')}; got ${got}`)];
}

/** Whether an entry's server is one of the file's. */
export function serverMistakes(entry: Mapping, path: Path, scope: CheckScope): readonly Mistake[] {
  const server = asText(entry.server);
  // Without any servers that is the mistake, not each entry that names one.
  if (server === null || scope.servers.size === 0 || scope.servers.has(server)) return [];
  const near = closest(server, scope.servers);
  const known =
    near === null ? `servers has ${[...scope.servers].map(quoted).join(', ')}` : `did you mean ${quoted(near)}?`;
  return [onValue([...path, 'server'], `no server is called ${quoted(server)}: ${known}`)];
}
