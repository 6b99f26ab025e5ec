import { readSettings, type Setting } from '@spanmesh/runtime/settings/setting';
import { expect, it } from 'vitest';
import { settings as linkGateway } from '../../services/link-gateway/src/process.ts';
import { settings as topology } from '../../services/topology/src/process.ts';
import { settings as volconf } from '../../services/volconf/src/process.ts';

it('one process of each service can run on one host with the default ports', () => {
  const services: Record<string, Record<string, Setting<unknown>>> = { linkGateway, topology, volconf };
  const ports = Object.entries(services).flatMap(([service, settings]) => {
    const values = readSettings(settings, { env: {}, flags: {} });
    return ['grpcListen', 'serviceListen', 'httpListen', 'dmsgListen']
      .flatMap((name) => values[name] ?? [])
      .map((listen) => ({ service, port: (listen as { port: number }).port }));
  });
  const numbers = ports.map(({ port }) => port);
  expect(numbers.length).toBe(10);
  expect(new Set(numbers).size, JSON.stringify(ports)).toBe(numbers.length);
});
