import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Programs } from '../peer/programs.ts';
import { generateStubs } from './stubs.ts';

const EXAMPLE = join(import.meta.dirname, '../../docs/examples/nodes.go');
/** Where Debian's packages put Go's sources. */
const PACKAGES = '/usr/share/gocode';

describe('the API from Go', () => {
  const programs = new Programs();
  const made: string[] = [];
  let program: string;
  beforeAll(() => {
    const stubs = generateStubs({ go: 'paths=source_relative', 'go-grpc': 'paths=source_relative' });
    const home = mkdtempSync(join(tmpdir(), 'spanmesh-go-'));
    made.push(stubs, home);
    mkdirSync(join(home, 'src'));
    cpSync(join(stubs, 'spanmesh'), join(home, 'src/spanmesh'), { recursive: true });
    program = join(home, 'nodes');
    const env = {
      ...process.env,
      GOPATH: [home, process.env.GOPATH, PACKAGES].filter(Boolean).join(':'),
      GO111MODULE: 'off',
      GOCACHE: join(home, 'cache'),
      CGO_ENABLED: '0',
    };
    execFileSync('go', ['build', '-o', program, EXAMPLE], { env, stdio: ['ignore', 'inherit', 'inherit'] });
  });
  afterEach(() => programs.endAll());
  afterAll(() => {
    for (const directory of made) rmSync(directory, { recursive: true, force: true });
  });

  it('docs/examples/nodes.go lists nodes', async () => {
    const { dmsg, grpc } = await programs.standalone();
    await programs.twoPeers(dmsg);
    const listed = programs.start(program, [grpc]);
    expect(await listed.ended, listed.output).toBe(0);
    expect(listed.output).toMatch(/peer01/);
    expect(listed.output).toMatch(/peer02/);
  });
});
