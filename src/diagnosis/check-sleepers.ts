import { count, type Finding, findingsAbout, someOf } from './finding.ts';

/** A database that says of whole databases that they sleep, and is not the one that the `url` names. */
export interface StraySleepers {
  readonly database: string;
  /** Ids. */
  readonly tenants: readonly string[];
}

/** Tenants with a database of their own that sleep, and that this inventory does not know of. */
export function checkSleepers(id: string, home: string, strays: readonly StraySleepers[]): readonly Finding[] {
  const about = findingsAbout(`server ${id}`);
  return strays.map(({ database, tenants }) => {
    const whom = `${count(tenants.length, 'tenant')} (${someOf(tenants)})`;
    return about.warning(
      'strayed-sleepers',
      `${whom} put to sleep by way of database ${database} cannot be seen: the url names ${home}`,
      `wake them with an inventory whose servers.${id}.url names ${database}, or use that url everywhere`,
    );
  });
}
