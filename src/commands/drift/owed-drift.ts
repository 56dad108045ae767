import type { Context } from '../../context.ts';
import { readFolder } from '../../migrations/folder.ts';
import { toFailure } from '../../postgres/failure.ts';
import type { Fleet } from '../open-fleet.ts';
import { oweMigrations } from '../owed.ts';

/**
 * The fleet with what its sleeping tenants will get when they wake. A folder that is not there, or not sound, is no matter of a
 * drift scan.
 */
export function oweToSleeping(context: Context, fleet: Fleet): Fleet {
  const { migrations } = fleet.inventory;
  if (migrations === null || fleet.sleeping.size === 0) return fleet;
  try {
    const folder = readFolder(migrations, context.cwd);
    return oweMigrations(
      fleet,
      folder.migrations.map(({ name }) => name),
    );
  } catch (error) {
    const message = `what sleeping tenants will get when they wake is not known: ${toFailure(error).message}`;
    context.emit({ type: 'notice', level: 'warning', message });
    return fleet;
  }
}
