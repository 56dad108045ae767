export type Labels = Readonly<Record<string, string>>;

/** One customer: a schema of its own in a shared database, or (`schema` null) a database of its own. */
export interface Tenant {
  readonly id: string;
  /** Key of `servers` in the inventory. */
  readonly server: string;
  readonly database: string;
  readonly schema: string | null;
  readonly labels: Labels;
  /** Filled in from the inventory's templates: what a session of this tenant has as search_path, first entry first. */
  readonly searchPath: readonly string[];
  /** SET ROLE before migrating, so that new objects get the right owner. */
  readonly role: string | null;
}

/** The schema in which a tenant's objects live: `public` for a tenant with a database of its own. */
export function tenantSchema(tenant: Tenant): string {
  return tenant.schema ?? 'public';
}

/** Names one place unmistakably: no name of a server or database holds a NUL. */
export function placeKey(place: { readonly server: string; readonly database: string }): string {
  return `${place.server}\0${place.database}`;
}
