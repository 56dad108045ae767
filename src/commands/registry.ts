import type { Command } from './command.ts';

export interface CommandEntry {
  /** As it is typed: `migrate status`. */
  readonly name: string;
  /** Typed without this last word it is meant all the same: `migrate` is `migrate up`. */
  readonly isDefault?: boolean;
  readonly load: () => Promise<Command<never, never>>;
}

/** Every command, loaded only when it is asked for: `--version` and `migrate` do not pay for the others. */
export const registry: readonly CommandEntry[] = [
  {
    name: 'migrate up',
    isDefault: true,
    load: async () => (await import('./migrate/migrate-up.ts')).migrateUp as never,
  },
  { name: 'migrate status', load: async () => (await import('./migrate/migrate-status.ts')).migrateStatus as never },
  { name: 'migrate plan', load: async () => (await import('./migrate/migrate-plan.ts')).migratePlan as never },
  {
    name: 'migrate rehearse',
    load: async () => (await import('./migrate/migrate-rehearse.ts')).migrateRehearse as never,
  },
  { name: 'migrate down', load: async () => (await import('./migrate/migrate-down.ts')).migrateDown as never },
  {
    name: 'migrate baseline',
    load: async () => (await import('./migrate/migrate-baseline.ts')).migrateBaseline as never,
  },
  { name: 'migrate gate', load: async () => (await import('./migrate/migrate-gate.ts')).migrateGate as never },
  { name: 'migrate repair', load: async () => (await import('./migrate/migrate-repair.ts')).migrateRepair as never },
  { name: 'migrate create', load: async () => (await import('./migrate/migrate-create.ts')).migrateCreate as never },
  {
    name: 'drift find',
    isDefault: true,
    load: async () => (await import('./drift/drift.ts')).drift as never,
  },
  {
    name: 'drift snapshot',
    load: async () => (await import('./drift/drift-snapshot.ts')).driftSnapshot as never,
  },
  { name: 'drift fix', load: async () => (await import('./drift/drift-fix.ts')).driftFix as never },
  { name: 'drift watch', load: async () => (await import('./drift/drift-watch.ts')).driftWatch as never },
  { name: 'dump', load: async () => (await import('./backups/dump.ts')).dump as never },
  { name: 'verify', load: async () => (await import('./backups/verify.ts')).verify as never },
  { name: 'restore', load: async () => (await import('./backups/restore.ts')).restore as never },
  { name: 'hibernate', load: async () => (await import('./hibernation/hibernate.ts')).hibernate as never },
  { name: 'wake', load: async () => (await import('./hibernation/wake.ts')).wake as never },
  { name: 'runs list', load: async () => (await import('./runs/runs-list.ts')).runsList as never },
  { name: 'runs show', load: async () => (await import('./runs/runs-show.ts')).runsShow as never },
  { name: 'runs resume', load: async () => (await import('./runs/runs-resume.ts')).runsResume as never },
  { name: 'backups list', load: async () => (await import('./backups/backups-list.ts')).backupsList as never },
  { name: 'backups show', load: async () => (await import('./backups/backups-show.ts')).backupsShow as never },
  { name: 'backups pin', load: async () => (await import('./backups/backups-pin.ts')).backupsPin as never },
  { name: 'tenants list', load: async () => (await import('./tenants-list.ts')).tenantsList as never },
  { name: 'backups expire', load: async () => (await import('./backups/backups-expire.ts')).backupsExpire as never },
  { name: 'backups report', load: async () => (await import('./backups/backups-report.ts')).backupsReport as never },
  { name: 'idle', load: async () => (await import('./hibernation/idle.ts')).idle as never },
  { name: 'init', load: async () => (await import('./init/init.ts')).init as never },
  { name: 'completion', load: async () => (await import('./completion/completion.ts')).completion as never },
  { name: 'doctor', load: async () => (await import('./doctor/doctor.ts')).doctor as never },
  { name: 'demo', load: async () => (await import('./demo.ts')).demo as never },
];

/** As a command is said in reports and docs: `migrate` for `migrate up`. */
export function spokenName(name: string): string {
  const isDefault = registry.some((entry) => entry.name === name && entry.isDefault === true);
  return isDefault ? name.slice(0, name.lastIndexOf(' ')) : name;
}

/** What the first words of the command line name: an entry, or nothing yet (help, a typing error). */
export function findEntry(words: readonly string[]): CommandEntry | null {
  const [first, second] = words;
  const exact = registry.find(({ name }) => name === `${first} ${second}` || name === first);
  if (exact !== undefined) return exact;
  const isGroupOnly = second === undefined || second.startsWith('-');
  return (isGroupOnly && registry.find(({ name, isDefault }) => isDefault && name.startsWith(`${first} `))) || null;
}
