// Writes schema/tenants.schema.json from the schema that checks tenants.yaml. Run it when that one changes.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inventoryJsonSchema } from '../src/fleet/inventory/file-schema.ts';

const target = join(import.meta.dirname, '..', 'schema', 'tenants.schema.json');
await writeFile(target, `${JSON.stringify(inventoryJsonSchema(), null, 2)}\n`);
