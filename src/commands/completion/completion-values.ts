import { type Candidate, inList, type Proposal } from '../../completion/candidates.ts';
import type { CursorPlace } from '../../completion/command-line.ts';
import { shells } from '../../completion/scripts.ts';
import { checkedInventories } from '../../fleet/inventory/checked-cache.ts';
import { findInventory } from '../../fleet/inventory/find.ts';
import { loadInventory } from '../../fleet/inventory/load.ts';
import type { Inventory } from '../../fleet/inventory/types.ts';
import { listRuns, type RunRecord } from '../../fleet/run-records.ts';

/** What values are completed from: files only, never a server. */
export interface CompletionWorld {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly homeDir: string;
}

/** So many of the newest runs tell which tenants discovery has found; reading more takes time. */
const runsRead = 20;

/** Those of `--output`; a test holds them against the real ones, which this room does not know. */
export const outputFormats = ['table', 'json', 'ndjson', 'junit', 'github', 'prometheus'] as const;

type Source = (values: Values, place: CursorPlace) => Promise<Proposal>;

/** By the flag, where its name says more than what it takes. */
const byFlag: Readonly<Record<string, Source>> = {
  '--tenant': (values) => values.tenants(),
  '--except': (values) => values.tenants(),
  '--label': async (values, { text }) => inList(await values.labels(text.slice(text.lastIndexOf(',') + 1)), text),
  '--server': async (values) => named((await values.inventory()).servers.keys()),
  '--database': (values) => values.databases(),
  '--outcome': async (_values, { text }) => inList(named(['failed', 'skipped', 'interrupted', 'done']), text),
  '--output': async (_values, { text }) => (text.includes('=') ? 'files' : named(outputFormats)),
  '--color': async () => named(['auto', 'always', 'never']),
  '--kind': async () => named(['tenant', 'shared', 'large-objects', 'roles']),
  '--language': async () => named(['sql', 'js', 'ts']),
};

/** By what a flag or an argument takes: `<run>`. */
const byWord: Readonly<Record<string, Source>> = {
  run: (values) => values.runs(),
  tenant: (values) => values.tenants(),
  migration: (values) => values.migrations(),
  hazard: async (_values, { text }) => inList(await hazards(), text),
  shell: async () => named(shells),
  time: async () => named(['latest']),
  file: async () => 'files',
  folder: async () => 'files',
};

/** The proposals for what stands at the cursor; none when nobody knows. */
export async function proposeValues(
  place: CursorPlace,
  config: string | null,
  world: CompletionWorld,
): Promise<Proposal> {
  const takes = place.valueOf?.takes ?? place.argument?.takes ?? '';
  const source = byFlag[place.valueOf?.long ?? ''] ?? byWord[takes];
  if (source === undefined) return [];
  const proposal = await source(new Values(world, config), place);
  const taken = new Set(place.taken);
  return proposal === 'files' ? proposal : proposal.filter(({ value }) => !taken.has(value));
}

class Values {
  readonly #world: CompletionWorld;
  readonly #config: string | null;

  constructor(world: CompletionWorld, config: string | null) {
    this.#world = world;
    this.#config = config;
  }

  async inventory(): Promise<Inventory> {
    const { cwd, env, homeDir, version } = this.#world;
    // The shell has not expanded it yet.
    const config = this.#config?.replace(/^~(?=\/)/, homeDir);
    const found = await findInventory({ cwd, env, config });
    const openCache = (state: string) => checkedInventories({ state, version, write: false });
    return (await loadInventory(found, { openCache })).inventory;
  }

  /** Those of the file, and those that the newest runs have worked on. */
  async tenants(): Promise<Candidate[]> {
    const inventory = await this.inventory();
    const known = new Map<string, string>();
    for (const { id, server, database } of inventory.tenants) known.set(id, `${server}/${database}`);
    if (inventory.discover.length > 0) {
      for (const { manifest, tenants, entries } of await readRuns(inventory, runsRead)) {
        if (manifest.environment !== inventory.environment) continue;
        for (const id of tenants) {
          const { server, database } = entries.get(id) ?? {};
          if (!known.has(id)) known.set(id, server === undefined ? '' : `${server}/${database}`);
        }
      }
    }
    return [...known].map(([value, description]) => ({ value, description }));
  }

  async databases(): Promise<Candidate[]> {
    const { tenants, discover, shared } = await this.inventory();
    const discovered = discover.flatMap((entry) => (entry.kind === 'schemas' ? [entry.database] : []));
    return named([...tenants, ...shared].map(({ database }) => database).concat(discovered));
  }

  /** Keys first; with a key, its values. */
  async labels(text: string): Promise<Candidate[]> {
    const { tenants, discover } = await this.inventory();
    const labels = [...tenants, ...discover].flatMap((entry) => Object.entries(entry.labels));
    const [key = '', sign = ''] = /^(.*?)(!?=)/.exec(text)?.slice(1) ?? [];
    if (sign === '') return named(labels.map(([name]) => `${name}=`));
    return named(labels.flatMap(([name, value]) => (name === key ? [`${key}${sign}${value}`] : [])));
  }

  /** The newest first, by their whole id and, for who has read it in a report, by its last part. */
  async runs(): Promise<Candidate[]> {
    const runs = await readRuns(await this.inventory(), 50);
    const described = runs.map(({ manifest, tenants }) => ({
      value: manifest.run,
      description: `${manifest.command}, ${tenants.length} tenants`,
    }));
    const tails = described.map(({ value, description }) => ({ value: value.split('-').at(-1) ?? '', description }));
    return [...described, ...tails];
  }

  async migrations(): Promise<Candidate[]> {
    const { migrations } = await this.inventory();
    if (migrations === null) return [];
    const { readFolder } = await import('../../migrations/folder.ts');
    return named(readFolder(migrations, this.#world.cwd).migrations.map(({ name }) => name));
  }
}

async function readRuns({ state }: Inventory, limit: number): Promise<RunRecord[]> {
  const { runs } = await listRuns(state, limit);
  return runs.flatMap((run) => ('manifest' in run ? [run] : []));
}

async function hazards(): Promise<Candidate[]> {
  const { hazardNames } = await import('../../migrations/hazards.ts');
  return named([...hazardNames, 'all']);
}

function named(names: Iterable<string>): Candidate[] {
  return [...new Set(names)].map((value) => ({ value }));
}
