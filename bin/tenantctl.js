#!/usr/bin/env node
// Plain JavaScript that an old Node can read: it gets a sentence instead of a syntax error.
import { existsSync } from 'node:fs';
import module from 'node:module';

const [major, minor] = process.versions.node.split('.').map(Number);
const source = new URL('../src/main.ts', import.meta.url);
const isRepository = existsSync(source);

if (major < 22 || (major === 22 && minor < 18)) {
  const hint = isRepository
    ? 'run it as "npx tenantctl" after "npm ci": the repository brings its own Node.js'
    : 'upgrade Node.js: https://nodejs.org/en/download';
  process.stderr.write(
    `tenantctl: Node.js 22.18 or newer is needed, this is ${process.versions.node}\nhint: ${hint}\n`,
  );
  process.exitCode = 2;
} else {
  module.enableCompileCache();
  // Until main has said otherwise: neither a crash nor a promise that is never kept may look like success.
  process.exitCode = 70;
  process.on('uncaughtException', (error) => {
    process.stderr.write(`tenantctl: internal error: ${error.stack}\n`);
    process.exit(70);
  });
  const main = isRepository ? source : new URL('../dist/main.js', import.meta.url);
  import(main.href)
    .then((program) => program.main())
    .then((exitCode) => {
      process.exitCode = exitCode;
    })
    .catch((error) => {
      process.stderr.write(`tenantctl: ${error.stack}\n`);
    });
}
