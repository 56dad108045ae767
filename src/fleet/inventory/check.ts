import { UsageError } from '../../errors.ts';
import { parseDuration } from '../duration.ts';
import { checkDiscover } from './check-discover.ts';
import type { CheckScope } from './check-scope.ts';
import { checkServers } from './check-servers.ts';
import { templateMistakes } from './check-templates.ts';
import { checkTenants } from './check-tenants.ts';
import { type Mistake, onValue } from './mistakes.ts';
import { printable } from './names.ts';
import { asMapping, asText, asTexts, entriesOf, type Mapping } from './raw.ts';
import { parseWave } from './rollout.ts';
import { mustBeginWithSchema } from './tenants.ts';

/** PostgreSQL keeps its timeouts in 32 bits. */
const maxTimeoutMs = 2_147_483_647;

/** What the shape cannot say: references, twins, names and templates. Parts of the wrong shape are passed over. */
export function checkMeaning(raw: Mapping, at: CheckScope['at']): readonly Mistake[] {
  const servers = new Set(entriesOf(raw.servers).map(([id]) => id));
  const scope: CheckScope = { raw, servers, at };
  return [...checkSettings(raw), ...checkServers(raw.servers), ...checkTenants(scope), ...checkDiscover(scope)];
}

function checkSettings(raw: Mapping): readonly Mistake[] {
  const mistakes: Mistake[] = [...templateMistakes(raw, [])];
  const environment = asText(raw.environment);
  if (environment !== null && environment !== '' && !canBeTyped(environment)) {
    mistakes.push(onValue(['environment'], 'cannot be typed as it is: use one line without blanks around it'));
  }
  const [first] = asTexts(raw.searchPath) ?? [];
  if (first !== undefined && first !== '{schema}') mistakes.push(onValue(['searchPath'], mustBeginWithSchema));
  for (const [key, value] of entriesOf(raw.timeouts)) {
    const ms = parseDuration(asText(value) ?? '') ?? 0;
    if (ms > maxTimeoutMs) mistakes.push(onValue(['timeouts', key], 'expected at most 24d'));
  }
  mistakes.push(...checkWaves(asMapping(raw.rollout)?.waves));
  if (asMapping(raw.servers) !== null && entriesOf(raw.servers).length === 0) {
    mistakes.push(onValue(['servers'], 'expected at least one server'));
  }
  return mistakes;
}

/** A wave that is neither a share nor a label selector. */
function checkWaves(waves: unknown): readonly Mistake[] {
  return (asTexts(waves) ?? []).flatMap((wave, index) => {
    try {
      parseWave(wave);
      return [];
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      return [onValue(['rollout', 'waves', index], 'expected a share (10%, 25) or labels (tier=free)')];
    }
  });
}

function canBeTyped(word: string): boolean {
  return word.trim() === word && printable(word) === word;
}
