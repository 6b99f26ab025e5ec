import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { expect, it } from 'vitest';
import { ServiceProcess } from '../peer/installation.ts';

it.each([
  { written: undefined, has: 'rehearses before it serves', rehearsals: 1 },
  { written: 'off', has: 'is told not to rehearse', rehearsals: 0 },
])('a standalone $has', async ({ written, rehearsals }) => {
  const standalone = await ServiceProcess.start('standalone', {
    SPANMESH_DMSG_LISTEN: `127.0.0.1:${await freePort()}`,
    SPANMESH_DATA_DIR: '',
    SPANMESH_LOG_LEVEL: 'debug',
    ...(written !== undefined && { SPANMESH_REHEARSAL: written }),
  });
  await standalone.ready();
  await standalone.stop();
  const messages = standalone.output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
  expect(messages.filter((msg) => msg === 'rehearsed')).toHaveLength(rehearsals);
  expect(messages.slice(rehearsals, rehearsals + 1)).toEqual(['replica leads']);
});
