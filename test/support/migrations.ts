const section = (table: string) =>
  `-- Up Migration\nCREATE TABLE ${table} (id int);\n\n-- Down Migration\nDROP TABLE ${table};\n`;

/** Three migrations that make a table each and can be taken back. */
export const threeTables: Readonly<Record<string, string>> = {
  '0001_one.sql': section('one'),
  '0002_two.sql': section('two'),
  '0003_three.sql': section('three'),
};

/** A migration that makes a table and can be taken back. */
export function tableMigration(table: string): string {
  return section(table);
}
