import { createLogger } from '@spanmesh/runtime/log/logger';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { expect, it } from 'vitest';
import { ANY_PORTS } from './any-ports.fixture.ts';
import { settings } from './settings.ts';
import { Standalone } from './standalone.ts';

/** A line of the log about a replica. */
interface ReplicaLine {
  readonly msg: string;
  readonly subject?: string;
  readonly role?: string;
}

it('logs at its start that it leads, once for each role, and names no other replica', async () => {
  const lines: ReplicaLine[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const logger = createLogger({ level: 'info', service: 'standalone', destination });
  const standalone = new Standalone(readSettings(settings, { env: ANY_PORTS, flags: {} }), logger, { env: {} });
  await standalone.start();
  await expect.poll(() => standalone.volconf.leads).toBe(true);
  const { serviceAddress, apiAddress } = standalone.ports;
  await standalone.stop();
  const leads = lines.filter(({ msg }) => msg.includes('lead'));
  expect(leads.map(({ msg, subject, role }) => `${role}: ${msg}: ${subject}`)).toEqual([
    `topology: replica leads: topology at ${serviceAddress}`,
    `volconf: replica leads: volconf at ${apiAddress}`,
  ]);
});
