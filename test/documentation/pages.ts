import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { packageRoot } from '../../src/postgres/local/cache-folder.ts';

export interface CodeBlock {
  /** `json`, `console`, …; empty when the fence names none. */
  readonly language: string;
  readonly text: string;
  /** 1-based, of the fence. */
  readonly line: number;
}

/** One Markdown file, taken apart as far as the tests look at it. */
export interface Page {
  /** Relative to the repository: `docs/output.md`. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly CodeBlock[];
  /** What stands between backticks, outside of blocks. */
  readonly spans: readonly string[];
  /** Targets as they are written. */
  readonly links: readonly string[];
  readonly anchors: ReadonlySet<string>;
  /** Cells of each table row outside of blocks, as they are written. */
  readonly rows: readonly (readonly string[])[];
}

/** README, CONTRIBUTING, CHANGELOG and everything below docs/. */
export function readPages(): readonly Page[] {
  const docs = readdirSync(join(packageRoot, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs.toSorted()].map((path) =>
    parsePage(path, readProjectFile(path)),
  );
}

export function readProjectFile(path: string): string {
  return readFileSync(join(packageRoot, path), 'utf8');
}

export function parsePage(path: string, text: string): Page {
  const blocks: CodeBlock[] = [];
  const prose = text.replaceAll(
    /^```(\S*)\n(.*?)^```$/gms,
    (block: string, language: string, body: string, at: number) => {
      blocks.push({ language, text: body, line: text.slice(0, at).split('\n').length });
      return block.replaceAll(/[^\n]/g, '');
    },
  );
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span.replaceAll('\\|', '|'));
  const withoutSpans = prose.replaceAll(/`[^`\n]+`/g, '`');
  return {
    path,
    text,
    blocks,
    spans,
    links: [...withoutSpans.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target),
    anchors: anchorsOf(prose),
    rows: [...prose.matchAll(/^\|(.*)\|$/gm)].map(([, row = '']) =>
      row.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|')),
    ),
  };
}

/** As GitHub makes them of headings. */
function anchorsOf(prose: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of prose.matchAll(/^#+ (.*)$/gm)) {
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-');
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n += 1) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** The page, or other file of the project, that a relative link leads to. */
export function linkTarget(page: Page, link: string): { readonly path: string; readonly anchor: string } {
  const [file = '', anchor = ''] = link.split('#');
  return { path: file === '' ? page.path : normalize(join(dirname(page.path), file)), anchor };
}

/** Everything that is set as code. */
export function codeOf(page: Page): string {
  return [...page.spans, ...page.blocks.map(({ text }) => text)].join('\n');
}
