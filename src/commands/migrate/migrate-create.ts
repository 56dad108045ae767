import path from 'node:path';
import { UsageError } from '../../errors.ts';
import { createMigration, isMigrationLanguage, type MigrationLanguage } from '../../migrations/create.ts';
import { type Command, textView } from '../command.ts';
import { readInventory } from '../open-inventory.ts';
import { readText } from '../read-options.ts';

interface CreateOptions {
  readonly config: string | null;
  readonly name: string;
  readonly language: MigrationLanguage;
  readonly folder: string | null;
}

/** `tenantctl migrate create`: an empty migration file, numbered after the last one. */
export const migrateCreate: Command<CreateOptions, never> = {
  name: 'migrate create',
  summary: 'write an empty migration, numbered after the last one',
  examples: [
    ['tenantctl migrate create add invoices', 'writes migrations/0043_add_invoices.sql'],
    ['tenantctl migrate create backfill --language ts', 'a migration in TypeScript'],
  ],
  arguments: '<name...>',
  flags: [
    { flags: '--language <language>', description: 'sql, js or ts (default: sql)', fromEnvironment: true },
    {
      flags: '--folder <folder>',
      description: 'not the inventory’s migrations folder but this one',
      fromEnvironment: false,
    },
  ],
  view: textView,
  options: (raw, args) => {
    const language = readText(raw, 'language') ?? 'sql';
    if (!isMigrationLanguage(language))
      throw new UsageError(`--language takes sql, js or ts, not ${JSON.stringify(language)}`);
    return { config: readText(raw, 'config'), name: args.join(' '), language, folder: readText(raw, 'folder') };
  },
  run: async (context, { config, name, language, folder }) => {
    const chosen =
      folder === null ? (await readInventory(context, { config })).migrations : path.resolve(context.cwd, folder);
    if (chosen === null)
      throw new UsageError('the inventory names no migrations folder', { hint: 'name one with --folder' });
    const file = await createMigration(chosen, name, language, context.now());
    return { outcomes: [], text: [path.relative(context.cwd, file)], extra: { file } };
  },
};
