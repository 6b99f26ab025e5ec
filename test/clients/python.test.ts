import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { followsNodes } from '../docs/watch-example.ts';
import { Programs } from '../peer/programs.ts';
import { generateStubs, which } from './stubs.ts';

const EXAMPLES = join(import.meta.dirname, '../../docs/examples');
/** Debian's, which has grpc; another one may come first on PATH. */
const PYTHON = '/usr/bin/python3';

describe('the API from Python', () => {
  const programs = new Programs();
  let stubs: string;
  beforeAll(() => {
    stubs = generateStubs({ python: '', grpc_python: '' }, { grpc_python: which('grpc_python_plugin') });
  });
  afterEach(() => programs.endAll());
  afterAll(() => rmSync(stubs, { recursive: true, force: true }));

  const python = (example: string, grpc: string) =>
    programs.start(PYTHON, [join(EXAMPLES, example), grpc], { PYTHONPATH: stubs });

  it('docs/examples/nodes.py lists nodes', async () => {
    const { dmsg, grpc } = await programs.standalone();
    await programs.twoPeers(dmsg);
    const listed = python('nodes.py', grpc);
    expect(await listed.ended, listed.output).toBe(0);
    expect(listed.output).toMatch(/peer01/);
    expect(listed.output).toMatch(/peer02/);
  });

  it('docs/examples/watch.py follows nodes, over an end of the service, too', () =>
    followsNodes(programs, (grpc) => python('watch.py', grpc)));
});
