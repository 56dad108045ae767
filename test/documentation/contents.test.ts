import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Command } from '../../src/commands/command.ts';
import { commonFlags } from '../../src/commands/flags.ts';
import { registry } from '../../src/commands/registry.ts';
import { loadInventory } from '../../src/fleet/inventory/load.ts';
import { packageRoot } from '../../src/postgres/local/cache-folder.ts';
import { codeOf, linkTarget, type Page, parsePage, readPages, readProjectFile } from './pages.ts';

const pages = readPages();
const pageAt = new Map(pages.map((page) => [page.path, page]));
const commands = await Promise.all(registry.map(async ({ load }) => (await load()) as unknown as Command));

function blocksIn(language: string): readonly { readonly at: string; readonly text: string }[] {
  return pages.flatMap(({ path, blocks }) =>
    blocks.filter((block) => block.language === language).map(({ line, text }) => ({ at: `${path}:${line}`, text })),
  );
}

describe('links', () => {
  it('lead to files and headings that are there', () => {
    const broken = pages.flatMap((page) =>
      page.links
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => {
          const { path, anchor } = linkTarget(page, link);
          if (!existsSync(join(packageRoot, path))) return true;
          return anchor !== '' && pageAt.get(path)?.anchors.has(anchor) !== true;
        })
        .map((link) => `${page.path}: ${link}`),
    );
    expect(broken).toEqual([]);
  });

  it('leave the project for few places', () => {
    const known = ['https://keepachangelog.com/', 'https://semver.org/'];
    const urls = pages.flatMap(({ text }) => text.match(/https?:\/\/[^\s)`"]+/g) ?? []);
    expect(urls.filter((url) => !known.some((begin) => url.startsWith(begin)))).toEqual([]);
  });
});

describe('examples', () => {
  it.each(blocksIn('json'))('$at is JSON', ({ text }) => {
    expect(() => JSON.parse(text)).not.toThrow();
  });

  it.each(blocksIn('yaml'))('$at is YAML, and an inventory loads', async ({ text }) => {
    expect(parse(text)).toBeTypeOf('object');
    if (text.startsWith('version: 1')) await expect(load(text)).resolves.toBeUndefined();
  });

  it('of inventories there are some', () => {
    expect(blocksIn('yaml').filter(({ text }) => text.startsWith('version: 1')).length).toBeGreaterThan(1);
  });

  it('tenants.example.yaml loads', async () => {
    await expect(load(readProjectFile('tenants.example.yaml'))).resolves.toBeUndefined();
  });
});

async function load(text: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tenantctl-docs-'));
  try {
    await writeFile(join(folder, 'tenants.yaml'), text);
    await loadInventory({ path: join(folder, 'tenants.yaml'), name: 'tenants.yaml' });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('the inventory', () => {
  it('has each of its keys on its page', () => {
    const page = pageAt.get('docs/inventory.md')!;
    const words = new Set(codeOf(page).match(/[A-Za-z]+/g));
    expect(keysOf(JSON.parse(readProjectFile('schema/tenants.schema.json'))).filter((key) => !words.has(key))).toEqual(
      [],
    );
  });
});

/** Names of all properties of a JSON Schema. */
function keysOf(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return [...own, ...Object.values(schema).flatMap(keysOf)];
}

describe('environment variables', () => {
  const page = pageAt.get('docs/environment-variables.md')!;
  const explained = new Set(codeOf(page).match(/TENANTCTL_[A-Z_]+/g));
  const ofFlags = commands.flatMap(({ flags }) =>
    [...flags, ...commonFlags]
      .filter(({ fromEnvironment }) => fromEnvironment)
      .map(({ flags: text }) => `TENANTCTL_${/--([a-z-]+)/.exec(text)?.[1]?.replaceAll('-', '_').toUpperCase()}`),
  );

  it('are explained where the sources read them', () => {
    const read = ['src', 'test', 'bench', 'scripts'].flatMap(variablesBelow);
    expect(read).toContain('TENANTCTL_TEST_PGBIN');
    expect([...new Set([...read, ...variablesIn(readProjectFile('package.json'))])].filter(isUnexplained)).toEqual([]);
  });

  it('are explained for each flag that has one', () => {
    expect(ofFlags.filter(isUnexplained)).toEqual([]);
  });

  it('are real where the docs name them', () => {
    const given = ['TENANTCTL_RUN', 'TENANTCTL_WAVE', 'TENANTCTL_ENVIRONMENT', 'TENANTCTL_TENANT_COUNT'];
    const others = [
      'TENANTCTL_CONFIG',
      'TENANTCTL_PG_BIN',
      'TENANTCTL_TEST_PGBIN',
      'TENANTCTL_TEST_SEED',
      'TENANTCTL_SOAK',
      ...given,
    ];
    const known = new Set([...ofFlags, ...others]);
    const named = pages.flatMap(({ path, text }) => variablesIn(text).map((name) => ({ path, name })));
    const unknown = named.filter(({ name }) => !known.has(name));
    // Named to say that they do nothing.
    const idle = ['TENANTCTL_YES', 'TENANTCTL_ALLOW'].map((name) => ({ path: 'docs/environment-variables.md', name }));
    expect(unknown).toEqual(idle);
  });

  function isUnexplained(name: string): boolean {
    return !explained.has(name) && !page.anchors.has(name.toLowerCase());
  }
});

function variablesIn(text: string): readonly string[] {
  return text.match(/TENANTCTL_[A-Z_]*[A-Z](?![A-Z_])/g) ?? [];
}

function variablesBelow(folder: string): readonly string[] {
  return readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('documentation'))
    .flatMap((name) => variablesIn(readProjectFile(join(folder, name))));
}

describe('the README', () => {
  const lines = pageAt
    .get('README.md')!
    .blocks.filter(({ language }) => language === 'sh')
    .map(({ text }) => text.trim());

  it('has two commands, which begin with npm ci and go on with a script of the package', () => {
    const { scripts } = JSON.parse(readProjectFile('package.json')) as { scripts: Record<string, string> };
    expect(lines).toEqual(['npm ci && npm run demo', 'npm ci && npm test']);
    expect(scripts).toHaveProperty('demo');
    expect(scripts).toHaveProperty('test');
  });

  it('says what .ci/run does', () => {
    const run = readProjectFile('.ci/run')
      .split('\n')
      .filter((line) => line !== '' && !/^(?:#|set |cd )/.test(line));
    expect(run.join(' && ')).toBe(lines.at(-1));
  });
});

describe('the pages', () => {
  it('name no place of one machine and no registry', () => {
    const foreign = /\/(?:work|home|root|Users)\/|\/tmp\/|\bregistry\.(?!ts\b)|npmjs|artifactory|verdaccio|\bnexus\b/i;
    const found = pages.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => (foreign.test(line) ? [`${path}:${index + 1}: ${line}`] : [])),
    );
    expect(found).toEqual([]);
  });

  it('close every code block that they open', () => {
    const open = pages.filter(({ text, blocks }) => (text.match(/^```/gm) ?? []).length !== blocks.length * 2);
    expect(open.map(({ path }) => path)).toEqual([]);
  });
});

describe('this test', () => {
  const page: Page = parsePage(
    'docs/x.md',
    '# A `b`: c\n## A b c\n| `-x, --xy <a\\|b>` | means |\n[l](../README.md#try-it) `[no](link)`\n```json\n[1](2)\n```\n',
  );

  it('tells code from prose', () => {
    expect(page.links).toEqual(['../README.md#try-it']);
    expect(linkTarget(page, page.links[0]!)).toEqual({ path: 'README.md', anchor: 'try-it' });
    expect(page.blocks).toEqual([{ language: 'json', text: '[1](2)\n', line: 5 }]);
    expect(page.rows).toEqual([['`-x, --xy <a|b>`', 'means']]);
    expect([...page.anchors]).toEqual(['a-b-c', 'a-b-c-1']);
  });
});
