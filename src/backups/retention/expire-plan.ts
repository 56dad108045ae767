import { formatDuration } from '../../fleet/duration.ts';
import { listNames } from '../../words.ts';
import type { Backup } from '../repository/backup.ts';
import { subjectName } from '../repository/names.ts';
import {
  isUnfinished,
  type Judged,
  type JudgeOptions,
  judgeSeries,
  judgeUnfinished,
  keptWhatever,
  unfinishedAgeMs,
} from './judge-series.ts';

export interface ExpireOptions extends Omit<JudgeOptions, 'holdsOf'> {
  /** Ids of the tenants that are worked on. */
  readonly selected: ReadonlySet<string>;
  /** The whole fleet is meant: what tenants share is looked at too. */
  readonly isWhole: boolean;
  /** When each tenant that left was first seen to be gone; null: discovery is not complete, and nobody can say. */
  readonly departed: ReadonlyMap<string, Date> | null;
  /** Null: a tenant that left keeps its archives for ever. */
  readonly departedAfterMs: number | null;
}

export interface Series {
  /** `_shared/main/saas`, `_roles/main`; the id of a tenant. */
  readonly name: string;
  readonly judged: readonly Judged[];
}

/** What would be removed, and why all else stays. */
export interface ExpirePlan {
  /** Of the selected tenants that have something in the store. */
  readonly tenants: ReadonlyMap<string, readonly Judged[]>;
  /** Of tenants that left, with the time at which that was first seen. */
  readonly departed: readonly (Series & { readonly since: Date })[];
  /** Of what tenants share: shared objects, large objects, roles. */
  readonly shared: readonly Series[];
}

/** Decides on everything that the store holds; touches nothing. */
export function planExpiry(backups: readonly Backup[], options: ExpireOptions): ExpirePlan {
  const ofTenants = new Map<string, Backup[]>();
  const ofOthers = new Map<string, Backup[]>();
  for (const backup of backups) {
    const { subject } = backup;
    if (subject.kind === 'tenant') push(ofTenants, subject.tenant, backup);
    else push(ofOthers, subjectName(subject), backup);
  }
  // Pins and rules alone hold a tenant's backups; what tenants share is held by those too.
  const judge = { ...options, holdsOf: () => [] };
  const tenants = new Map<string, readonly Judged[]>();
  const departed: (Series & { since: Date })[] = [];
  for (const [tenant, series] of ofTenants) {
    const since = options.departed?.get(tenant);
    if (options.selected.has(tenant)) tenants.set(tenant, judgeSeries(series, judge));
    else if (since !== undefined) departed.push({ name: tenant, since, judged: judgeDeparted(series, since, judge) });
  }
  const going = new Set(
    [...tenants.values(), ...departed.map(({ judged }) => judged)].flat().flatMap((it) => (it.isKept ? [] : it.backup)),
  );
  const staying = [...ofTenants.values()].flat().filter((backup) => !going.has(backup));
  return { tenants, departed, shared: options.isWhole ? judgeShared(ofOthers, staying, judge) : [] };
}

/** A tenant that left: all or nothing by the time since, except what is pinned or slept on. */
function judgeDeparted(
  backups: readonly Backup[],
  since: Date,
  options: JudgeOptions & Pick<ExpireOptions, 'departedAfterMs'>,
): readonly Judged[] {
  const { now, departedAfterMs } = options;
  const day = since.toISOString().slice(0, 10);
  const isDue = departedAfterMs !== null && now.getTime() - since.getTime() >= departedAfterMs;
  return backups.map((backup) => {
    const holds = keptWhatever(backup, now);
    if (holds.length > 0) return { backup, isKept: true, reasons: holds };
    if (isUnfinished(backup)) return judgeUnfinished(backup, options);
    if (isDue) return { backup, isKept: false, reasons: [`departed, first seen ${day}`] };
    const until = departedAfterMs === null ? 'until someone says otherwise' : `for ${formatDuration(departedAfterMs)}`;
    return { backup, isKept: true, reasons: [`departed, first seen ${day}, kept ${until}`] };
  });
}

/**
 * What tenants share stays as long as a backup that stays needs it, and by the rules as any other. Shared objects have
 * owners too, so the roles are judged last.
 */
function judgeShared(
  series: ReadonlyMap<string, readonly Backup[]>,
  tenants: readonly Backup[],
  options: JudgeOptions,
): readonly Series[] {
  const isRoles = ([, backups]: readonly [string, readonly Backup[]]) => backups[0]?.subject.kind === 'roles';
  const judgeAll = (some: readonly (readonly [string, readonly Backup[]])[], staying: readonly Backup[]): Series[] => {
    const holdsOf = neededReasons(staying, options);
    return some.map(([name, backups]) => ({ name, judged: judgeSeries(backups, { ...options, holdsOf }) }));
  };
  const objects = judgeAll(
    [...series].filter((it) => !isRoles(it)),
    tenants,
  );
  const kept = objects.flatMap(({ judged }) => judged.flatMap(({ backup, isKept }) => (isKept ? backup : [])));
  return [...objects, ...judgeAll([...series].filter(isRoles), [...tenants, ...kept])];
}

function neededReasons(staying: readonly Backup[], { now }: JudgeOptions): JudgeOptions['holdsOf'] {
  const neededBy = new Map<string, string[]>();
  for (const backup of staying) {
    if (backup.manifest === null) continue;
    const { shared, rolesFile, largeObjects } = backup.manifest.needs;
    for (const key of [shared, rolesFile, largeObjects])
      if (key !== null) push(neededBy, stemOf(key), subjectName(backup.subject));
  }
  const unreadable = staying.filter(({ state }) => state === 'bad-manifest');
  return (backup) => [
    ...needReason(neededBy.get(stemOf(keyOf(backup)))),
    ...unknownNeed(backup, unreadable),
    ...youngReason(backup, now),
  ];
}

function needReason(names: readonly string[] = []): readonly string[] {
  return names.length === 0 ? [] : [`needed by ${listNames([...new Set(names)])}`];
}

/** What a damaged manifest needs nobody can read; it was written by a dump of about that time. */
function unknownNeed({ takenAt }: Backup, unreadable: readonly Backup[]): readonly string[] {
  const near = unreadable.find((other) => Math.abs(other.takenAt.getTime() - takenAt.getTime()) < unfinishedAgeMs);
  return near === undefined
    ? []
    : [`may be needed by ${subjectName(near.subject)} ${near.time}, whose manifest is damaged`];
}

/** The manifests that will name it may not be written yet. */
function youngReason({ takenAt }: Backup, now: Date): readonly string[] {
  return now.getTime() - takenAt.getTime() < unfinishedAgeMs ? ['younger than 24 h'] : [];
}

/** What stands before the endings: an archive is the same one encrypted or not. */
function stemOf(key: string): string {
  return key.replace(/\.(?:dump|sql|json)(?:\.age)?$/, '');
}

function keyOf({ keys }: Backup): string {
  return keys.file ?? keys.manifest ?? '';
}

function push<V>(lists: Map<string, V[]>, key: string, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
