import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    environment: 'node',
    // Processes, not threads: tests send signals and change what belongs to a whole process.
    pool: 'forks',
    // Tests mostly wait for the server and for programs, so no core is kept back.
    maxWorkers: '100%',
    // A process of its own for each of 200 files costs more than all their imports.
    isolate: false,
    globalSetup: ['test/support/cluster.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    reporters: ['default'],
  },
});
