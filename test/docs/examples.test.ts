import { join } from 'node:path';
import { afterEach, describe, it } from 'vitest';
import { Programs } from '../peer/programs.ts';
import { followsNodes } from './watch-example.ts';

const EXAMPLE = join(import.meta.dirname, '../../docs/examples/watch.ts');
/** Time to start some processes on a slow machine, milliseconds. */
const PATIENCE_MS = 60_000;

describe('docs/examples/watch.ts', () => {
  const programs = new Programs();
  afterEach(() => programs.endAll());

  it(
    'follows nodes, and continues after a restart of the service',
    () => followsNodes(programs, (grpc) => programs.start(process.execPath, [EXAMPLE, grpc])),
    PATIENCE_MS,
  );
});
