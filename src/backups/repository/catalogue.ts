import type { Backup, Pin, VerificationRecord } from './backup.ts';
import { inParallel } from './in-parallel.ts';
import type { BackupManifest, BackupSubject } from './manifest.ts';
import {
  type FilePart,
  folderSubject,
  isCutName,
  kindPrefix,
  parseFileTime,
  parseKey,
  subjectFolder,
} from './names.ts';
import { type RecordRead, readManifest, readPin, readReceipt, readVerification } from './record-text.ts';
import type { BackupStore, StoredFile } from './store.ts';

export interface BackupFilter {
  /** Ids; when none are given, all. Other kinds are then left out, unless `kinds` names them. */
  readonly tenants?: readonly string[];
  /** All when not given. */
  readonly kinds?: readonly BackupSubject['kind'][];
  /** False: names, pins and receipts alone are read: quicker, and a damaged manifest is not noticed. Default: true. */
  readonly withManifests?: boolean;
}

/** Manifests that are read at the same time: for a bucket, where each is a request. */
const readingAtOnce = 48;

/** More tenants than this are looked for in a listing of all. */
const maxPrefixes = 20;

const kindOrder: readonly BackupSubject['kind'][] = ['tenant', 'shared', 'large-objects', 'roles'];

/** The files of one backup. */
interface Group {
  readonly folder: string;
  readonly time: string;
  readonly files: ReadonlyMap<FilePart, readonly StoredFile[]>;
}

/** What a store holds: by subject, the newest first. */
export async function readCatalogue(store: BackupStore, filter: BackupFilter): Promise<readonly Backup[]> {
  const isWanted = wantedBy(filter);
  const groups: Group[] = [];
  for (const prefix of prefixesOf(filter)) {
    for (const group of await readGroups(store, prefix)) {
      const subject = folderSubject(group.folder);
      if (subject !== null && isWanted(subject, group.folder)) groups.push(group);
    }
  }
  const backups = await inParallel(groups, readingAtOnce, (group) => {
    // What was too long for a folder's name is in its manifests alone.
    const isCut = group.folder.split('/').some(isCutName);
    return readBackup(store, group, filter.withManifests !== false || isCut);
  });
  return backups.toSorted(compare);
}

/** One backup, by the way to its files without their endings; null: there is none. */
export async function readOne(store: BackupStore, base: string): Promise<Backup | null> {
  const groups = await readGroups(store, base);
  const group = groups.find(({ folder, time }) => `${folder}/${time}` === base);
  return group === undefined || folderSubject(group.folder) === null ? null : readBackup(store, group, true);
}

function wantedBy({ tenants, kinds }: BackupFilter): (subject: BackupSubject, folder: string) => boolean {
  const folders = tenants && new Set(tenants.map((tenant) => subjectFolder({ kind: 'tenant', tenant })));
  const wanted = new Set(kinds ?? (tenants === undefined ? kindOrder : ['tenant']));
  return ({ kind }, folder) => {
    if (kind === 'tenant' && folders !== undefined) return folders.has(folder);
    return wanted.has(kind);
  };
}

function prefixesOf({ tenants, kinds }: BackupFilter): readonly string[] {
  const others = (kinds ?? []).filter((kind) => kind !== 'tenant').map(kindPrefix);
  if (tenants !== undefined && tenants.length <= maxPrefixes) {
    return [...new Set(tenants.map((tenant) => `${subjectFolder({ kind: 'tenant', tenant })}/`)), ...others];
  }
  const isAboutTenants = tenants !== undefined || kinds === undefined || kinds.includes('tenant');
  return isAboutTenants ? [''] : others;
}

async function readGroups(store: BackupStore, prefix: string): Promise<readonly Group[]> {
  const groups = new Map<string, { folder: string; time: string; files: Map<FilePart, StoredFile[]> }>();
  for await (const file of store.list(prefix)) {
    const parsed = parseKey(file.key);
    if (parsed === null) continue;
    const { folder, time, part } = parsed;
    const base = `${folder}/${time}`;
    const group = groups.get(base) ?? { folder, time, files: new Map() };
    groups.set(base, group);
    group.files.set(part, [...(group.files.get(part) ?? []), file]);
  }
  return [...groups.values()];
}

async function readBackup(store: BackupStore, group: Group, withManifests: boolean): Promise<Backup> {
  const { folder, time, files } = group;
  const keyOf = (part: FilePart) => files.get(part)?.[0]?.key ?? null;
  const keys = {
    manifest: keyOf('manifest'),
    verified: keyOf('verified'),
    pin: keyOf('pin'),
    receipt: keyOf('receipt'),
  };
  const read = withManifests && keys.manifest !== null ? await readRecord(store, keys.manifest, readManifest) : null;
  const checked = read !== null && 'value' in read ? belongs(read.value, group) : read;
  const manifest = checked !== null && 'value' in checked ? checked.value : null;
  const archives = files.get('archive') ?? [];
  const named = archives.find(({ key }) => key === `${folder}/${manifest?.file.name}`);
  const file = manifest === null ? (archives[0] ?? null) : (named ?? null);
  const verification =
    withManifests && keys.verified !== null ? await readRecord(store, keys.verified, readVerification) : null;
  return {
    subject: manifest?.subject ?? folderSubject(folder)!,
    time,
    takenAt: parseFileTime(time)!,
    keys: { ...keys, file: file?.key ?? null },
    sizeBytes: file?.sizeBytes ?? 0,
    ...judge(file, keys.manifest, checked),
    manifest,
    // One that cannot be read proves nothing.
    verification: believed<VerificationRecord>(verification),
    pin: keys.pin === null ? null : await readPinOf(store, keys.pin),
    receipt: keys.receipt === null ? null : await readReceiptOf(store, keys.receipt),
  };
}

function believed<T>(read: RecordRead<T> | null): T | null {
  return read !== null && 'value' in read ? read.value : null;
}

function judge(
  file: StoredFile | null,
  manifestKey: string | null,
  read: RecordRead<BackupManifest> | null,
): Pick<Backup, 'state' | 'problem'> {
  if (read !== null && 'problem' in read) return { state: 'bad-manifest', problem: `its manifest: ${read.problem}` };
  if (file === null) return { state: 'no-archive', problem: 'its archive is not there' };
  if (manifestKey === null) {
    return { state: 'no-manifest', problem: 'it has no manifest: its dump did not come to its end, or goes on' };
  }
  const expected = read?.value.file.sizeBytes;
  if (expected === undefined || expected === file.sizeBytes) return { state: 'complete', problem: null };
  return { state: 'wrong-size', problem: `its archive has ${file.sizeBytes} bytes, not ${expected}` };
}

/** A manifest that was put beside another archive says something true of the wrong thing. */
function belongs(manifest: BackupManifest, { folder, time }: Group): RecordRead<BackupManifest> {
  if (subjectFolder(manifest.subject) === folder && manifest.time === time) return { value: manifest };
  return { problem: `it is that of ${subjectFolder(manifest.subject)}/${manifest.time}` };
}

/** One that cannot be read still pins: somebody wanted that backup kept. */
async function readPinOf(store: BackupStore, key: string): Promise<Pin | null> {
  const read = await readRecord(store, key, readPin);
  if (read === null || 'value' in read) return read?.value ?? null;
  const reason = `the pin cannot be read (${read.problem})`;
  return { schema: 'tenantctl-pin/1', at: new Date(0).toISOString(), by: 'unknown', reason, until: null };
}

/** One that cannot be read is taken for living: somebody may have nothing else to be woken from. */
async function readReceiptOf(store: BackupStore, key: string): Promise<Backup['receipt']> {
  const read = await readRecord(store, key, readReceipt);
  if (read === null) return null;
  return { living: 'problem' in read || read.value.wokenAt === null };
}

/** Null: it went away meanwhile. */
export async function readRecord<T>(
  store: BackupStore,
  key: string,
  parse: (bytes: Uint8Array) => RecordRead<T>,
): Promise<RecordRead<T> | null> {
  const bytes = await store.readSmall(key);
  return bytes === null ? null : parse(bytes);
}

function compare(a: Backup, b: Backup): number {
  const byKind = kindOrder.indexOf(a.subject.kind) - kindOrder.indexOf(b.subject.kind);
  if (byKind !== 0) return byKind;
  const [left, right] = [subjectFolder(a.subject), subjectFolder(b.subject)];
  if (left !== right) return left < right ? -1 : 1;
  return b.takenAt.getTime() - a.takenAt.getTime();
}
