import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Target } from '@spanmesh/proto/v1/volconf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { FakeVolconf, OPERATOR_TARGET, SLOT_TARGET } from '../volconf.fixture.ts';

let volconf: FakeVolconf;
let directory: string;
beforeEach(async () => {
  volconf = new FakeVolconf();
  const another = Target.fromPartial({ name: 'a.b', origin: 2, path: 'span:[2001:db8::1]:987', dialect: 1 });
  volconf.targets = [OPERATOR_TARGET, SLOT_TARGET, another];
  await volconf.server.start();
  directory = mkdtempSync(join(tmpdir(), 'spanmesh-targets-'));
});
afterEach(() => {
  volconf.server.stop();
  rmSync(directory, { recursive: true });
});

async function run(input: string, ...args: string[]) {
  const terminal = new RecordingTerminal();
  terminal.in = Readable.from([input]);
  const code = await main(['volconf', ...args, '--address', volconf.server.address], terminal);
  return { code, printed: terminal.printed, noted: terminal.noted };
}

const EXPORTED =
  '{"name":"a.b","path":"span:[2001:db8::1]:987","dialect":"linkid"}\n' +
  '{"name":"lab","path":"span:lab.example:988","dialect":"auto"}\n';

describe('spanmesh volconf export', () => {
  it('prints an operator’s targets in order of their names, and none of the volumes’ targets', async () => {
    expect(await run('', 'export')).toEqual({ code: 0, printed: EXPORTED, noted: '' });
  });
});

describe('spanmesh volconf import', () => {
  it('changes nothing if the file has the present targets', async () => {
    const { code, printed } = await run(EXPORTED, 'import', '-', '--prune');
    expect([code, printed]).toEqual([0, '0 added, 0 changed, 0 removed, 2 as they were\n']);
    expect(volconf.sets).toEqual([]);
  });

  const FILE = `# what is wanted

{"name":"lab","path":"span:lab.example:999"}
{"name":"new","path":"span:n.example","dialect":"circuit"}
`;
  const STEPS =
    '~ lab span:lab.example:999 (was span:lab.example:988)\n' +
    '+ new span:n.example circuit\n' +
    '- a.b span:[2001:db8::1]:987 linkid\n';

  it('adds, changes and, with --prune, removes targets', async () => {
    const file = join(directory, 'targets');
    writeFileSync(file, FILE);
    const { code, printed } = await run('', 'import', file, '--prune');
    expect([code, printed]).toEqual([0, `${STEPS}1 added, 1 changed, 1 removed, 0 as they were\n`]);
    expect(volconf.sets).toEqual([
      { name: 'lab', path: 'span:lab.example:999', dialect: 0 },
      { name: 'new', path: 'span:n.example', dialect: 2 },
    ]);
    expect(volconf.targets.map(({ name }) => name)).not.toContain('a.b');
  });

  it('keeps targets that the file does not have, without --prune', async () => {
    expect((await run(FILE, 'import', '-')).printed).toMatch(/1 added, 1 changed, 0 removed, 0 as they were\n$/);
    expect(volconf.targets.map(({ name }) => name)).toContain('a.b');
  });

  it('only prints what it would do, with --dry-run', async () => {
    const { code, printed } = await run(FILE, 'import', '-', '--prune', '--dry-run');
    expect(code).toBe(0);
    expect(printed).toBe(`${STEPS}nothing was done; it would be: 1 added, 1 changed, 1 removed, 0 as they were\n`);
    expect(volconf.sets).toEqual([]);
    expect(volconf.targets).toHaveLength(3);
  });

  it.each([
    ['{"name":"lab"', /^spanmesh: standard input:2: not a JSON object/],
    ['{"name":"LAB","path":"span:x"}', /:2: name: small letters/],
    ['{"name":"lab","path":"tcp:x"}', /:2: path: /],
    ['{"name":"lab"}', /:2: path: /],
    ['{"name":"lab","path":"span:x","dialect":"dmsg"}', /:2: dialect: /],
    ['{"name":"lab","path":"span:x","paht":"span:y"}', /:2: .*paht/],
    ['[]', /:2: /],
    ['{"name":"lab","path":"span:x"}\n{"name":"lab","path":"span:y"}', /:3: lab is in line 2 already/],
  ])('refuses %s before anything is changed', async (line, why) => {
    const { code, noted } = await run(`{"name":"fine","path":"span:x"}\n${line}\n`, 'import', '-');
    expect(code).toBe(2);
    expect(noted).toMatch(why);
    expect(volconf.sets).toEqual([]);
  });

  it('says which target the service does not take', async () => {
    volconf.refuses = 'new';
    const { code, noted } = await run(FILE, 'import', '-');
    expect(code).toBe(1);
    expect(noted).toBe('spanmesh: standard input:4: new: The path makes no sense. (1 of 2 changes made)\n');
  });

  it('says that the file does not exist', async () => {
    const { code, noted } = await run('', 'import', join(directory, 'none'));
    expect(code).toBe(2);
    expect(noted).toMatch(/none: there is no such file or directory$/m);
  });
});
