import { exactlyOne } from './check-scope.ts';
import { type Mistake, onKey, onValue } from './mistakes.ts';
import { idProblem } from './names.ts';
import { asMapping, asText, entriesOf } from './raw.ts';

/** Ids, and what excludes each other in one server. */
export function checkServers(servers: unknown): readonly Mistake[] {
  return entriesOf(servers).flatMap(([id, server]) => {
    const path = ['servers', id];
    const mistakes: Mistake[] = [];
    const problem = id === '__proto__' ? 'this name cannot be used for a server' : idProblem(id);
    if (problem !== null) mistakes.push(onKey(path, problem));
    const settings = asMapping(server);
    if (settings === null) return mistakes;

    for (const key of ['url', 'replica']) {
      const url = asText(settings[key]);
      if (url !== null && url !== '' && !isConnectionText(url)) {
        mistakes.push(onValue([...path, key], 'expected postgres://… or key=value settings'));
      }
    }
    const password = asMapping(settings.password);
    if (password !== null) {
      const ways = ['env', 'file', 'command', 'awsSecret', 'rdsIam'];
      mistakes.push(...exactlyOne(password, ways, [...path, 'password']));
    }
    const rds = asMapping(settings.rds);
    if (rds !== null) mistakes.push(...exactlyOne(rds, ['instance', 'cluster'], [...path, 'rds']));
    return mistakes;
  });
}

function isConnectionText(url: string): boolean {
  if (!url.isWellFormed() || /\p{Cc}/u.test(url)) return false;
  return /^postgres(?:ql)?:\/\//.test(url) || /^\s*\w+\s*=/.test(url);
}
