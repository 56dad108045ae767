// `npm run bench <scenario>`: the performance promises, measured against peers and against the floor in one run.
import { styleText } from 'node:util';

const scenarios: Readonly<Record<string, () => Promise<{ measure: () => Promise<void> }>>> = {
  migrate: () => import('./migrate.ts'),
  dump: () => import('./dump.ts'),
  drift: () => import('./drift.ts'),
  hibernate: () => import('./hibernation.ts'),
};

const [name = ''] = process.argv.slice(2);
const load = scenarios[name];
if (load === undefined) {
  process.stderr.write(`usage: npm run bench <${Object.keys(scenarios).join('|')}>\n`);
  process.exitCode = 2;
} else {
  process.stdout.write(styleText('bold', `bench ${name}\n`));
  await (await load()).measure();
}
