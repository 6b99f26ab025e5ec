import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { optionsOfNode, START_OPTIONS } from '../peer/start-options.ts';

const text = (path: string) => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');

/** Command lines that start a service, by what they are in. */
const commands: Record<string, () => string> = {
  'the image': () => {
    const [, words] = /^ENTRYPOINT (\[.*\])$/m.exec(text('deploy/docker/Dockerfile'))!;
    return (JSON.parse(words!) as string[]).join(' ');
  },
  'the unit of systemd': () => /^ExecStart=(.*)$/m.exec(text('deploy/debian/spanmesh@.service'))![1]!,
};

describe('a service is started with the same options of Node', () => {
  it('by `npm start`', () => {
    expect(START_OPTIONS.map((option) => option.split('=')[0])).toEqual(['--v8-pool-size', '--max-semi-space-size']);
  });

  it.each(Object.keys(commands))('by %s', (name) => {
    expect(optionsOfNode(commands[name]!())).toEqual(START_OPTIONS);
  });

  it('which may be none', () => {
    expect(optionsOfNode('/usr/bin/node lib/spanmesh.mjs run %i')).toEqual([]);
    expect(optionsOfNode('spanmesh run standalone')).toEqual([]);
  });
});
