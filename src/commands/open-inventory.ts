import path from 'node:path';
import type { Context } from '../context.ts';
import { checkedInventories } from '../fleet/inventory/checked-cache.ts';
import { findInventory } from '../fleet/inventory/find.ts';
import { loadInventory } from '../fleet/inventory/load.ts';
import type { Inventory } from '../fleet/inventory/types.ts';
import type { ConnectionSettings } from '../postgres/settings/connection-settings.ts';
import { PasswordCache } from '../postgres/settings/password-sources.ts';
import { resolveConnection } from '../postgres/settings/resolve-connection.ts';
import { awsPasswordProviders } from './aws-passwords.ts';

/** Reads the inventory that the flags, the environment or the working directory name. */
export async function readInventory(
  context: Context,
  options: { readonly config: string | null; readonly writesNothing?: boolean },
): Promise<Inventory> {
  const { cwd, env, version } = context;
  const found = await findInventory({ cwd, env, config: options.config ?? undefined });
  const { inventory, warnings } = await loadInventory(found, {
    openCache: (state) => checkedInventories({ state, version, write: options.writesNothing !== true }),
  });
  for (const { message, hint } of warnings) context.emit({ type: 'notice', level: 'warning', message, hint });
  return inventory;
}

/** Settings of each server, made once; what is wrong with them is a usage error before anything is touched. */
export function connectionSettings(
  context: Context,
  inventory: Inventory,
  which: 'url' | 'replica' = 'url',
): (server: string) => ConnectionSettings {
  const { cwd, env, homeDir, osUser } = context;
  const baseDir = path.dirname(path.resolve(cwd, inventory.file));
  const cache = new PasswordCache({ env, baseDir, providers: awsPasswordProviders(env, inventory) });
  const known = new Map<string, ConnectionSettings>();
  return (serverId) => {
    let settings = known.get(serverId);
    if (settings === undefined) {
      const server = inventory.servers.get(serverId);
      settings = resolveConnection({
        serverId,
        conninfo: server?.[which] ?? null,
        env,
        homeDir,
        baseDir,
        osUser,
        connectTimeoutMs: inventory.timeouts.connectMs,
        password: server?.password ? { source: server.password, cache } : null,
      });
      for (const message of settings.warnings) context.emit({ type: 'notice', level: 'warning', message });
      known.set(serverId, settings);
    }
    return settings;
  };
}
